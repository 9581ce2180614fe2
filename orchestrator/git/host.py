"""The machine and the tools, without importing what would tell it slowly."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from orchestrator import __version__

_TOOLS = ("nox", "invoke")


def host() -> dict[str, str]:
    """Return ``host`` (its name), ``platform`` (system, release, machine) and ``python`` (this version)."""
    name = os.uname()
    return {
        "host": name.nodename,
        "platform": f"{name.sysname} {name.release} {name.machine}",
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def tools(path: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of the orchestrator, nox and Invoke as the folders on ``path`` name them.

    ``path`` is ``sys.path``. The names of ``*.dist-info`` folders are what ``importlib.metadata`` reads
    too, which takes 20 ms to import. None for a tool that is not installed there.
    """
    found: dict[str, str] = {}
    library = os.path.dirname(os.__file__)
    for folder in path:
        if len(found) == len(_TOOLS):
            break
        if folder.startswith(library) and not folder.endswith("-packages"):
            continue  # the standard library's own modules are no distributions
        try:
            names = os.listdir(folder)
        except (OSError, ValueError):
            continue
        for name in names:
            if name.endswith(".dist-info"):
                tool, _, rest = name.partition("-")
                if tool in _TOOLS:
                    found.setdefault(tool, rest.removesuffix(".dist-info"))
    return {"orchestrator": __version__, **{tool: found.get(tool) for tool in _TOOLS}}
