"""Carries out one command of ours and tells where its time went. Started by ``benchmarks.profile``, as text by ``-c``.

Each phase is some functions of the program, wrapped as soon as their module is there, so that nothing is loaded
earlier than it would be. A phase's time leaves out the phases inside it. Imports are caught at ``__import__``. All
this costs a few ms, which ``profile`` shows by the whole time with it and without it.
"""

from __future__ import annotations

import builtins
import sys
import time

TYPE_CHECKING = False  # typing's own is not imported: the program decides whether it is
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PHASES = {
    "config and plan": ["orchestrator.commands.run.prepare_start:prepare"],
    "environment check": [
        "orchestrator.runner.prepare_environment:EnvironmentMaker.make",
        "orchestrator.runner.environment.venv:describe",
    ],
    "provenance (git)": [
        "orchestrator.git.capture:Capture.begin",
        "orchestrator.git.capture:Capture.finish",
        "orchestrator.git.capture:Capture.finish_tree",
        "orchestrator.commands.review.review_context:review_context_of",
    ],
    "records": [
        "orchestrator.store.recovery:recover_task",
        "orchestrator.store.claim:claim",
        "orchestrator.store.open_run:OpenRun.save",
        "orchestrator.store.open_run:OpenRun.event",
        "orchestrator.store.publish:publish",
        "orchestrator.store.find:find_run",
        "orchestrator.commands.look.run_view:observe",
    ],
    "syncs": ["os:fsync"],
    "defining dataclasses": ["dataclasses:_process_class"],
    "compiling patterns": ["re:compile"],
    "stages": ["orchestrator.runner.scheduler:Scheduler.run"],
    "guard": ["orchestrator.process.client:GuardClient.start", "orchestrator.process.client:GuardClient.close"],
    "nox": ["orchestrator.runner.environment.nox:run_session"],
    "answer": [
        "orchestrator.commands.run.ended_run:answer_for",
        "orchestrator.report.status_document:status_document",
        "orchestrator.report.status_text:status_text",
    ],
}


class Clock:
    """Where time goes now: a stack of phases, and what each has taken so far in seconds, and how often."""

    def __init__(self) -> None:
        self.stack = ["the rest"]
        self.since = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def switch(self, now: float) -> None:
        """Book the time since the last switch on the phase that is on top."""
        top = self.stack[-1]
        self.seconds[top] = self.seconds.get(top, 0.0) + now - self.since
        self.since = now

    def enter(self, phase: str) -> None:
        """Begin a phase inside the one on top."""
        self.switch(time.perf_counter())
        self.stack.append(phase)
        self.calls[phase] = self.calls.get(phase, 0) + 1

    def leave(self) -> None:
        """End the phase on top."""
        self.switch(time.perf_counter())
        self.stack.pop()

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, its time booked on ``phase``."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self.enter(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return wrapper


class Wrapping:
    """Wraps the functions of the phases as soon as their modules are loaded."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.left = [(phase, *target.partition(":")[::2]) for phase, targets in PHASES.items() for target in targets]

    def look(self) -> None:
        """Wrap what has come since the last look."""
        self.left = [entry for entry in self.left if not self.wrap(*entry)]

    def wrap(self, phase: str, module: str, name: str) -> bool:
        """Wrap one function, and return whether it was there."""
        holder: Any = sys.modules.get(module)
        *path, last = name.split(".")
        for part in path:
            holder = getattr(holder, part, None)
        found = vars(holder).get(last) if holder is not None else None
        if found is None:
            return False
        if isinstance(found, (classmethod, staticmethod)):
            setattr(holder, last, type(found)(self.clock.timed(phase, found.__func__)))
        else:
            setattr(holder, last, self.clock.timed(phase, found))
        return True


OURS, NOX, LIBRARY = "imports: ours", "imports: nox", "imports: standard library"


def import_phase(name: str, within: str) -> str:
    """Return what an import of ``name`` is booked on, inside the phase ``within``.

    What nox's modules import is nox's, and a relative import its importer's.
    """
    root = name.partition(".")[0]
    if root == "nox" or within == NOX:
        return NOX
    if root == "orchestrator":
        return OURS
    return within if not root and within in (OURS, LIBRARY) else LIBRARY


def watch_imports(clock: Clock, wrapping: Wrapping) -> None:
    """Book the time of imports on whose they are."""
    load = builtins.__import__

    def watched(name: str, *words: Any, **named: Any) -> Any:
        relative = len(words) > 3 and words[3] > 0
        clock.enter(import_phase("" if relative else name, clock.stack[-1]))
        before = len(sys.modules)
        try:
            return load(name, *words, **named)
        finally:
            if len(sys.modules) != before:
                wrapping.look()
            clock.leave()

    builtins.__import__ = watched


def main() -> None:
    """Carry out ``sys.argv[2:]`` and write what was measured to the file ``sys.argv[1]``."""
    entered = time.perf_counter()
    told = sys.argv[1]
    sys.argv = ["codex-orchestrator", *sys.argv[2:]]
    clock = Clock()
    wrapping = Wrapping(clock)
    wrapping.look()
    watch_imports(clock, wrapping)
    from orchestrator.__main__ import main as carry_out

    code = carry_out()
    clock.switch(time.perf_counter())
    import json

    unseen = [f"{module}:{name}" for _, module, name in wrapping.left]
    found = {"entered": entered, "left": clock.since, "seconds": clock.seconds, "calls": clock.calls, "unseen": unseen}
    with open(told, "w") as file:
        json.dump(found, file)
    sys.exit(code)


if __name__ == "__main__":
    main()
