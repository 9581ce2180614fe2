"""The tests: unit (fast and pure), functional (the real commands), faults (broken on purpose)."""

from __future__ import annotations

import sys

# Whatever the shell says (``$PYTHONDONTWRITEBYTECODE``): else each process compiles all tests anew, in 8 s of CPU.
sys.dont_write_bytecode = False
