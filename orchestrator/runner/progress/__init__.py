"""What people, or a program that reads along, see of a run while it goes on.

The stage loop feeds an observer with the run's events and with the stages' output, masked. Observers never
raise: when what they write to is closed or full, they fall silent and the run goes on.
"""

from __future__ import annotations

from orchestrator.runner.progress.observers import Observer, OutputFormat, make_observer

__all__ = ["Observer", "OutputFormat", "make_observer"]
