"""The tests: unit (fast and pure), functional (the real commands), faults (broken on purpose)."""
