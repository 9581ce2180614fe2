"""A run in a terminal: a table of the stages below, what they print scrolling by above it.

The table is drawn by rich, but the screen is written here: the old table is taken away, output added and the
new table put below it in one write, so that nothing flickers, and output costs no more than in plain lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.base.clock import Clock
from orchestrator.runner.progress.board import Board, Row
from orchestrator.runner.progress.lines import LineObserver
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REFRESH = 0.2
"""Seconds between two drawings: output is never later than this, and drawing costs about 2 % of one core."""

_FLOOD = 256 * 1024
"""Bytes of output that are collected between two drawings; more are written without a table."""

_ALL = 10_000
"""Lines of a window that holds any table."""

_WIDE = 60
"""Columns from which each stage's last line stands beside it."""

_MARKS = {"succeeded": "✓", "running": "▶", "waiting": "·", "skipped": "–", "retrying": "↻"}
_ASCII_MARKS = {"succeeded": "+", "running": ">", "waiting": ".", "skipped": "-", "retrying": "~"}
_STYLES = {"succeeded": "green", "running": "bold", "waiting": "dim", "skipped": "yellow", "retrying": "yellow"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _Collected:
    """What is to be written above the table."""

    def __init__(self) -> None:
        self.data = bytearray()

    def text(self, text: str) -> None:
        """Write text."""
        self.data += text.encode()

    def write(self, data: bytes) -> None:
        """Write bytes."""
        self.data += data

    def take(self) -> bytes:
        """Return all of it, and forget it."""
        data = bytes(self.data)
        self.data.clear()
        return data


class LiveObserver:
    """Shows a run in a terminal. Without ``color`` the table is the same, in one colour."""

    refresh_seconds: float | None = _REFRESH

    _is_cut_at_end = False
    """Whether the table that stays is no longer than the window."""

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        self.sink = self._sink = sink
        self._gaps = 0
        self._color = color
        self._clock = clock
        self._above = _Collected()
        self._lines = LineObserver(self._above, color=color, whole_lines=True)
        self._board = Board()
        self._drawn: list[str] = []  # the lines of the table that is on the screen
        self._marks = _MARKS if sink.encoding.lower().replace("-", "") == "utf8" else _ASCII_MARKS

    def event(self, event: Mapping[str, Any]) -> None:
        """Show an event at once."""
        self._lines.event(event)
        self._board.event(event, self._clock.monotonic())
        self.tick()

    def output(self, stage_id: str, data: bytes) -> None:
        """Take output, to be shown at the next tick."""
        if not self._sink.open:
            return
        self._lines.output(stage_id, data)
        self._board.output(stage_id, data)
        if len(self._above.data) > _FLOOD:
            self._draw([])

    def tick(self) -> None:
        """Draw what has changed."""
        columns, lines = self._sink.size()
        self._draw(self._rendered(columns, lines))

    def close(self) -> None:
        """Leave the last table on the screen."""
        self._lines.close()
        for row in self._board.rows.values():
            row.tail = b""
        columns, lines = self._sink.size()
        self._draw(self._rendered(columns, lines if self._is_cut_at_end else _ALL))
        self._drawn = []
        self._sink.close()

    def _draw(self, table: list[str]) -> None:
        """Put ``table`` in the place of the one on the screen, below what was to be written above it."""
        above = self._above.take()
        if self._gaps != self._sink.gaps:
            self._gaps, self._drawn = self._sink.gaps, []  # what is on the screen is not known
        if not above and table == self._drawn:
            return
        parts = [self._erasure().encode(), above]
        if table:
            parts.append(("\n".join(table) + "\n").encode(self._sink.encoding, "replace"))
        self._sink.write(b"".join(parts))
        self._drawn = table

    def _erasure(self) -> str:
        """Return what takes the drawn table away; in a window made narrower since, its lines have been folded."""
        if not self._drawn:
            return ""
        columns, _ = self._sink.size()
        rows = sum(max(1, -(-cell_len(_COLOUR.sub("", line).rstrip()) // columns)) for line in self._drawn)
        return f"\x1b[{rows}A\r\x1b[J"

    def _rendered(self, columns: int, lines: int) -> list[str]:
        """Return the table as lines of at most ``columns`` cells, not more than fit into the window."""
        if not self._board.rows and not self._board.title:
            return []
        now = self._clock.monotonic()
        wide = columns >= _WIDE
        rows, hidden = visible(list(self._board.rows.values()), max(1, lines - 5))
        table = Table.grid(padding=(0, 1))
        cells = [self._cells(row, now) for row in rows]
        for column in range(4):  # the least width, so that a long note doesn't take it from them
            table.add_column(no_wrap=True, min_width=max((row[column].cell_len for row in cells), default=1))
        if wide:
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in cells:
            table.add_row(*row if wide else row[:4])
        console = Console(
            file=StringIO(),
            width=columns,
            force_terminal=True,
            color_system="standard" if self._color else None,
            highlight=False,
            legacy_windows=False,
            _environ={},
        )
        with console.capture() as capture:
            console.print(self._header(now, columns), no_wrap=True, overflow="ellipsis")
            console.print(table)
            if hidden:
                console.print(Text(f"  … {hidden} more", style="dim"), no_wrap=True)
            last = "" if wide else _latest(self._board)
            if last:
                console.print(Text(last, style="dim"), no_wrap=True, overflow="ellipsis")
        return capture.get().rstrip("\n").split("\n")

    def _header(self, now: float, columns: int) -> Text:
        """Return the run, its state, and its time beside its limit, which stays when the line is too long."""
        clock = Text(self._board.clock(now), style="bold red" if self._board.breached else "")
        phase = f" – {self._board.phase}" if self._board.phase else ""
        head = Text(f"{self._board.title}{phase}", style="bold")
        head.truncate(max(1, columns - len(clock) - 2), overflow="ellipsis")
        return head.append("  ").append_text(clock)

    def _cells(self, row: Row, now: float) -> tuple[Text, Text, Text, Text, Text]:
        style = _STYLES.get(row.state, "red")
        name = Text(row.stage)
        name.truncate(20, overflow="ellipsis")
        note = row.note or (row.last_line() if row.state == "running" else "")
        return (
            Text(self._marks.get(row.state, "✗" if self._marks is _MARKS else "x"), style=style),
            name,
            Text(row.state, style=style),
            Text(row.elapsed(now), justify="right"),
            Text(note, style="dim"),
        )


def visible(rows: list[Row], room: int) -> tuple[list[Row], int]:
    """Return the rows to show when there is ``room`` for so many, in order, and the number of hidden ones.

    What is done well is hidden first, then what waits: what runs or failed is what people look for.
    """
    if len(rows) <= room:
        return rows, 0
    order = {"succeeded": 3, "skipped": 2, "waiting": 1}
    ranked = sorted(range(len(rows)), key=lambda index: (order.get(rows[index].state, 0), index))
    kept = sorted(ranked[:room])
    return [rows[index] for index in kept], len(rows) - room


def _latest(board: Board) -> str:
    """Return the last line of the stage that was started last and still runs."""
    running = [row for row in board.rows.values() if row.state == "running"]
    return max(running, key=lambda row: row.started or 0).last_line() if running else ""
