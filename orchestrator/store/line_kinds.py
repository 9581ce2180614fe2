"""The kinds of lines in a chain, besides the ends of attempts: one table for all who look at them.

A kind is added by a module of its own, as ``decision_lines`` and ``prune_lines`` are, and a row here: then ``verify``
judges its lines and no longer notes them as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.record import Record
from orchestrator.store import decision_lines, prune_lines
from orchestrator.store.chain import IMPORT, Line
from orchestrator.store.import_lines import check_import


class LineKind(Record):
    """A kind of line.

    ``about`` returns the runs that a line names, the first of which stands for it in findings; ``check`` raises
    DamagedRecord with what is wrong with a line by itself. What it says of runs is held against the chain by
    ``verification``.
    """

    name: str
    about: Callable[[Line], tuple[str, ...]]
    check: Callable[[Line], object]


def runs_about(line: Line) -> tuple[str, ...]:
    """Return the runs that a line names: the one of its ``run_id``, or those of its kind."""
    kind = KINDS.get(str(line.get("kind")))
    return _one_run(line) if kind is None else kind.about(line)


def _one_run(line: Line) -> tuple[str, ...]:
    run_id = line.get("run_id")
    return (run_id,) if isinstance(run_id, str) else ()


def _named_runs(line: Line) -> tuple[str, ...]:
    runs = line.get("runs")
    named = (run.get("run_id") for run in (runs if isinstance(runs, list) else ()) if isinstance(run, dict))
    return tuple(run_id for run_id in named if isinstance(run_id, str))


def _nothing(line: Line) -> None:
    """A line of this kind is judged with its record."""


def _check_prune(line: Line) -> None:
    prune_lines.prune_line(line)


KINDS: Mapping[str, LineKind] = {
    kind.name: kind
    for kind in (
        LineKind(decision_lines.KIND, _one_run, _nothing),
        LineKind(prune_lines.KIND, _named_runs, _check_prune),
        LineKind(IMPORT, _one_run, check_import),
    )
}


def fault_of(line: Line) -> str | None:
    """Return what is wrong with a line of a known kind by itself; None where nothing is."""
    try:
        KINDS[str(line.get("kind"))].check(line)
    except DamagedRecord as error:
        return error.message
    return None
