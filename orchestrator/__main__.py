"""``python -m orchestrator`` and the console script ``codex-orchestrator``."""

from __future__ import annotations

import gc
import os
import sys

from orchestrator import __version__

_COLLECT_AFTER = 50_000
"""Objects that may have been made and not freed before the collector looks; Python's 700 are 60 looks in a start."""


def main() -> int:
    """Carry out this process's command line and return the exit code."""
    # What a start imports stays; looking for garbage in it again and again took a twentieth of its time.
    gc.set_threshold(_COLLECT_AFTER)
    words = sys.argv[1:]
    if words in (["--version"], ["-V"]):
        return _version()
    if sys.getfilesystemencoding() != "utf-8":
        from orchestrator.base import utf8_mode

        if utf8_mode.is_needed():
            utf8_mode.start_again()
    try:
        from orchestrator.base.module_finder import install

        install(__package__)
        from orchestrator.cli.console import run

        code = run(words)
    except KeyboardInterrupt:  # while modules are imported: later ones are reported by the edge
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
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
