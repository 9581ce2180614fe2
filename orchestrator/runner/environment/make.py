"""The child process of a cold start: ``python -m orchestrator.runner.environment.make <json>``.

``{"do": "create", "folder", "backend", "python"}`` makes a virtual environment as nox would;
``{"do": "install", "folder", "arguments"}`` becomes the installer. Exit codes: 0, or 1 with the cause
as the last line on stderr; after an install, the installer's.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence

from orchestrator.runner.environment.nox import EnvironmentNotMade, make_virtualenv, uv_program
from orchestrator.runner.environment.venv import MARKER, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(arguments: Sequence[str]) -> int:
    """Carry out the request in ``arguments[0]`` and return the exit code."""
    request: dict[str, Any] = json.loads(arguments[0])
    folder = request["folder"]
    # Whatever happens from here on, the environment is no longer what its marker says.
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, MARKER))
    if request["do"] == "install":
        return _install(folder, request["arguments"])
    return _create(request)


def _create(request: Mapping[str, Any]) -> int:
    try:
        backend = make_virtualenv(request["folder"], backends=request["backend"].split("|"), python=request["python"])
    except EnvironmentNotMade as error:
        return _failed(f"backend {request['backend']}: {error}")
    if backend == "none":
        return _failed(f"backend {request['backend']} came down to no environment")
    return 0


def _install(folder: str, arguments: Sequence[str]) -> int:
    python = os.path.join(folder, "bin", "python")
    if describe(folder)["backend"] == "uv":
        program = uv_program()
        if program is None:
            return _failed("nothing could be installed: the environment was made by uv, which is not here any more")
        from orchestrator.runner.environment.reinstall import reinstall_arguments

        again = reinstall_arguments(arguments, os.getcwd(), os.environ)
        command = [program, "pip", "install", "--python", python, *again, *arguments]
    else:
        command = [python, "-m", "pip", "install", *arguments]
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        return _failed(f"nothing could be installed: '{command[0]}' can't be started: {error.strerror}")


def _failed(cause: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{cause}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
