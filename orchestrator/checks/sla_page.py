"""What ``docs/sla.md`` says of each project: its limit, and the p90 that was measured. The words around stay.

The table is known by its header. A row says ``not measured`` until a run was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.config.quantities import duration, written

PAGE = "docs/sla.md"
ALWAYS_LISTED = "diagnostics"
"""The pipeline that each project has a row for; others have one as soon as they ran."""

UNMEASURED = "not measured"
_NOTHING = "–"
_COLUMNS = ("project", "pipeline", "limit", "p90", "runs", "latest run", "host")
_SEPARATOR = re.compile(r":?-+:?")
_FENCE = re.compile(r"\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Row:
    """One pipeline of one project; times in seconds.

    ``p90`` and ``latest`` (the id of the last of the ``runs``) are None until something was measured.
    ``line`` is where it stands, from 1; 0 for one that stands nowhere yet.
    """

    project: str
    pipeline: str
    limit: float
    p90: float | None = None
    runs: int = 0
    latest: str | None = None
    host: str = ""
    line: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Project and pipeline."""
        return self.project, self.pipeline


@dataclass(frozen=True, slots=True)
class Page:
    """The table of a page: its rows, the lines that can't be read as one with the reason, and where it stands.

    ``first`` and ``after`` are indices of lines: of the header, and of what follows the table. None: no table.
    """

    rows: tuple[Row, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()
    first: int | None = None
    after: int | None = None


def read_page(text: str) -> Page:
    """Return what a page says."""
    lines = text.splitlines()
    headers = [index for index in _outside_of_code(lines) if _cells(lines[index]) == _COLUMNS]
    if not headers:
        return Page(faults=((1, f"there is no table with the columns {', '.join(_COLUMNS)}"),))
    first = after = headers[0]
    rows: list[Row] = []
    faults = [(index + 1, "there is a second table of limits") for index in headers[1:]]
    while after < len(lines) and lines[after].lstrip().startswith("|"):
        cells = _cells(lines[after])
        if after > first and not all(map(_SEPARATOR.fullmatch, cells)):
            try:
                rows.append(_row(cells, after + 1))
            except ValueError as error:
                faults.append((after + 1, f"the row can't be read: {error}"))
        after += 1
    return Page(tuple(rows), tuple(sorted(faults)), first, after)


def with_rows(text: str, rows: Iterable[Row]) -> str:
    """Return the page with these rows in its table, sorted, and all other lines as they are."""
    page = read_page(text)
    lines = text.splitlines(keepends=True)
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in _table(sorted(rows, key=_place)))
    if page.first is None:
        head = text if not text or text.endswith("\n") else f"{text}\n"
        return f"{head}\n{table}" if head else table
    return "".join(lines[: page.first]) + table + "".join(lines[page.after :])


def _outside_of_code(lines: Sequence[str]) -> Iterator[int]:
    fence: str | None = None
    for index, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark is not None:
            fence = mark[1] if fence is None else None if fence == mark[1] else fence
        elif fence is None:
            yield index


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _row(cells: Sequence[str], line: int) -> Row:
    if len(cells) != len(_COLUMNS):
        raise ValueError(f"it has {len(cells)} cells, not {len(_COLUMNS)}")
    project, pipeline, limit, p90, runs, latest, host = cells
    for kind, name in (("project", project), ("pipeline", pipeline)):
        if (fault := name_fault(kind, name)) is not None:
            raise ValueError(fault)
    row = Row(project, pipeline, _time("limit", limit), line=line)
    if p90 == UNMEASURED:
        return row
    if re.fullmatch(r"[1-9][0-9]{0,6}", runs) is None:
        raise ValueError("'runs' is no number from 1 up")
    if not is_run_id(latest):
        raise ValueError("'latest run' is no run's id")
    return Row(project, pipeline, row.limit, _time("p90", p90), int(runs), latest, host, line)


def _time(column: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"'{column}' {error}") from None


def _table(rows: Iterable[Row]) -> Iterator[Sequence[str]]:
    yield _COLUMNS
    yield ["---"] * len(_COLUMNS)
    for row in rows:
        named = (row.project, row.pipeline, written(row.limit))
        if row.p90 is None or row.latest is None:
            yield (*named, UNMEASURED, "0", _NOTHING, _NOTHING)
        else:
            yield (*named, written(row.p90), str(row.runs), row.latest, _cell(row.host) or _NOTHING)


def _place(row: Row) -> tuple[str, bool, str]:
    return row.project, row.pipeline != ALWAYS_LISTED, row.pipeline


def _cell(text: str) -> str:
    """Return a text that comes from a record as a cell that begins nothing."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.replace("|", "¦").replace("`", "'").replace("<", "‹").split())
