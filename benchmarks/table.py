"""Results as text: a line each while they come, and the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.goals import BY_ID, Row
from benchmarks.results import Result

HEADINGS = ("row", "ours", "peer", "figure", "quartiles", "of the minima", "CPU", "must", "aim", "")


def line(result: Result) -> str:
    """Return a result as one line for people."""
    row = BY_ID[result.row]
    if result.skipped:
        return f"{row.title:<62} skipped: {result.skipped}"
    parts = [f"{row.title:<62} {_figure(row, result.figure):>9}"]
    if pair := result.pair:
        parts.append(f"({pair.low:.2f} to {pair.high:.2f}; minima {pair.least:.2f}; CPU {_plain(pair.cpu)})")
        parts.append(f"{_seconds(pair.ours)} ÷ {_seconds(pair.peer)}")
        if pair.noisy:
            parts.append(f"[{pair.noisy} samples disturbed]")
    if result.verdict:
        parts.append(f"{result.verdict} ({_plain(row.must)} / {_plain(row.aim)})")
    if result.note:
        parts.append(result.note)
    return "  ".join(parts)


def markdown(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, with a line below it for each note and each row without a figure."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    lines += ["| " + " | ".join(_cells(result)) + " |" for result in results if not result.skipped]
    remarks = [f"- {BY_ID[result.row].title}: {result.note}" for result in results if result.note]
    remarks += [f"- {BY_ID[result.row].title}: skipped, {result.skipped}" for result in results if result.skipped]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])]) + "\n"


def _cells(result: Result) -> list[str]:
    row, pair = BY_ID[result.row], result.pair
    timed = ["", "", _figure(row, result.figure), "", "", ""]
    if pair is not None:
        timed[:2] = [_seconds(pair.ours), _seconds(pair.peer)]
        timed[3:] = [f"{pair.low:.2f}–{pair.high:.2f}", f"{pair.least:.2f}", _plain(pair.cpu)]
    return [row.title, *timed, _plain(row.must), _plain(row.aim), result.verdict]


def between(text: str, name: str, content: str) -> str:
    """Return ``text`` with what stands between the markers ``<!-- name -->`` and ``<!-- /name -->`` replaced.

    Raises ValueError when the markers are not there once each, in this order.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the text has no single pair of lines '{begin.strip()}' and '{end.strip()}'")
    before, rest = text.split(begin)
    return before + begin + "\n" + content.strip("\n") + "\n\n" + end + rest.split(end)[1]


def plain_table(headings: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table of ``rows``, each a mapping from heading to cell."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(row.get(name, "") for name in headings) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _figure(row: Row, figure: float | None) -> str:
    if figure is None:
        return ""
    if row.unit == "ratio":
        return f"{figure:.2f}"
    return f"{figure:.0f}" if row.unit == "count" else f"{figure:.1f} {row.unit}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"
