"""``python -m orchestrator`` and the console script ``codex-orchestrator``."""

from __future__ import annotations

import os
import sys

from orchestrator import __version__


def main() -> int:
    """Carry out this process's command line and return the exit code."""
    words = sys.argv[1:]
    if words in (["--version"], ["-V"]):
        return _version()
    try:
        from orchestrator.cli.console import run

        code = run(words)
    except KeyboardInterrupt:  # while modules are imported: later ones are told by the edge
        return 130
    _freeze()
    return code


def _version() -> int:
    """Answer before anything else is imported; a closed stdout is no error."""
    try:
        os.write(1, f"codex-orchestrator {__version__}\n".encode())
    except OSError:
        return 0
    return 0


def _freeze() -> None:
    """Keep the collector from walking every object once more at the exit (``gc.freeze``; atexit still runs)."""
    import gc

    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
