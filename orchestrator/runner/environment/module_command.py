"""How this package's modules are started as processes that have no PYTHONPATH of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def module_command(module: str, environ: Mapping[str, str], *, executable: str = sys.executable) -> list[str]:
    """Return the command line that runs ``module`` with the orchestrator's interpreter.

    ``-P`` keeps the current folder, which is a codebase under test, off ``sys.path``. When ``environ``
    says that this package is found by PYTHONPATH only, the command names the place itself, since stages
    and installs don't get that variable.
    """
    entries = environ.get("PYTHONPATH", "").split(os.pathsep)
    if _SOURCES not in (os.path.abspath(entry) for entry in entries if entry):
        return [executable, "-P", "-m", module]
    program = (
        f"import sys; sys.path.insert(0, {_SOURCES!r}); "
        f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [executable, "-P", "-c", program]
