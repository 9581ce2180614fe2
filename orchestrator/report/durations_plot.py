"""Durations of runs against their SLA as an SVG that stands alone: no script, no font, nothing loaded.

A panel for each project: time from left to right, duration upwards on a logarithmic scale. Outcomes differ by
shape, not by colour alone; a run over its SLA has a ring around it. What a picture shows is said in words
too, in ``desc``, for who can't see it. The same figures give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape

from orchestrator.base.clock import parse_stamp, stamp
from orchestrator.report.layout import clean, duration, plural
from orchestrator.report.statistics.metrics_record import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIDTH, PANEL = 860, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 34, 30
_HEAD, _FOOT = 28, 34
_LINE = 14
_TICKS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0, 31622400.0)
_LEAST = 0.001
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.g{stroke:#ddd}.l{stroke:#8a5300;stroke-dasharray:6 4}"
    ".ok{fill:#1a56b0}.bad{stroke:#b3261e;stroke-width:2;fill:none}.off{fill:#777}.over{stroke:#8a5300;fill:none;"
    "stroke-width:1.5}.bg{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#eee}.bg{fill:#161616}.g{stroke:#444}"
    ".l,.over{stroke:#ffb74d}.ok{fill:#8ab4f8}.bad{stroke:#ff8a80}.off{fill:#aaa}}"
)


def durations_svg(document: Mapping[str, Any], ends: Mapping[str | None, Sequence[End]]) -> str:
    """Return the plot of a metrics document; ``ends`` are the runs of its projects."""
    since, until = parse_stamp(document["since"]), parse_stamp(document["until"])
    projects = document["projects"]
    height = _HEAD + max(1, len(projects)) * PANEL + _FOOT
    title = f"Durations of runs against their SLA, {document['since']} to {document['until']}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(" ".join(map(_words, projects)) or "There are no projects.")}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="bg" width="{WIDTH}" height="{height}"/>',
        f'<text class="t" x="{_LEFT}" y="20">{escape(title)}</text>',
    ]
    for place, project in enumerate(projects):
        lines.append(f'<g transform="translate(0 {_HEAD + place * PANEL})">')
        lines += _panel(project, ends.get(project["project"], ()), since, until)
        lines.append("</g>")
    lines += [*_legend(height), "</svg>"]
    return "\n".join(lines) + "\n"


def _words(project: Mapping[str, Any]) -> str:
    name = clean(project["project"] or "no project")
    if not project["runs"]:
        return f"{name}: no runs."
    return f"{name}: {'; '.join(map(_pipeline_words, project['pipelines']))}."


def _pipeline_words(part: Mapping[str, Any]) -> str:
    took = part["duration"]
    text = f"{clean(part['pipeline_id'])} {plural(part['runs'], 'run')}, median {duration(took['median_seconds'])}"
    text += f", 90th percentile {duration(took['p90_seconds'])}"
    if part["sla_seconds"]:
        text += f", SLA {duration(part['sla_seconds'])}, {part['sla']['breaches']} over it"
    return text


class _Scale:
    """From moments and durations to places in a panel."""

    def __init__(self, since: datetime, until: datetime, values: Sequence[float]) -> None:
        self._since, self._span = since, max((until - since).total_seconds(), 1.0)
        shown = [max(value, _LEAST) for value in values] or [1.0, 60.0]
        self.low = max([tick for tick in _TICKS[:-1] if tick <= min(shown)], default=_TICKS[0])
        self.high = min([tick for tick in _TICKS if tick >= max(shown) and tick > self.low], default=_TICKS[-1])

    def x(self, moment: datetime) -> float:
        """Return how far right a moment stands; one outside of the window stands at its edge."""
        part = (moment - self._since).total_seconds() / self._span
        return _LEFT + min(max(part, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT)

    def y(self, seconds: float) -> float:
        """Return how far down a duration stands."""
        low, high = math.log10(self.low), math.log10(self.high)
        part = (math.log10(min(max(seconds, self.low), self.high)) - low) / (high - low)
        return PANEL - _BOTTOM - part * (PANEL - _TOP - _BOTTOM)


def _panel(project: Mapping[str, Any], ends: Sequence[End], since: datetime, until: datetime) -> Iterator[str]:
    limits = [(part["pipeline_id"], part["sla_seconds"]) for part in project["pipelines"] if part["sla_seconds"]]
    scale = _Scale(since, until, [*(end.duration_seconds for end in ends), *(limit for _, limit in limits)])
    right = WIDTH - _RIGHT
    yield f'<text class="t" x="{_LEFT}" y="22">{escape(clean(project["project"] or "no project"))}</text>'
    for tick in _TICKS:
        if scale.low <= tick <= scale.high:
            y = scale.y(tick)
            yield f'<line class="g" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{duration(tick)}</text>'
    bottom = PANEL - _BOTTOM + 16
    yield f'<text x="{_LEFT}" y="{bottom}">{stamp(since)[:16].replace("T", " ")}</text>'
    yield f'<text x="{right}" y="{bottom}" text-anchor="end">{stamp(until)[:16].replace("T", " ")}</text>'
    yield from _limits(limits, scale)
    if not ends:
        yield f'<text x="{(_LEFT + right) / 2:.1f}" y="{PANEL / 2:.1f}" text-anchor="middle">no runs</text>'
    for end in sorted(ends, key=lambda end: (end.completed_at, end.run_id)):
        yield _point(end, scale.x(end.completed_at), scale.y(end.duration_seconds))


def _limits(limits: Sequence[tuple[str, float]], scale: _Scale) -> Iterator[str]:
    """Yield a line for each limit; the labels of lines that are close stand above each other."""
    right, free = WIDTH - _RIGHT, float(PANEL)
    for limit in sorted({limit for _, limit in limits}):
        names = ", ".join(clean(name) for name, one in limits if one == limit)
        y = scale.y(limit)
        free = min(y + 4, free - _LINE)
        yield f'<line class="l" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{right + 6}" y="{free:.1f}">SLA {duration(limit)}: {escape(_short(names))}</text>'


def _point(end: End, x: float, y: float) -> str:
    words = f"{end.run_id}: {end.pipeline_id}, {duration(end.duration_seconds)}, {end.outcome}"
    ring = f'<circle class="over" cx="{x:.1f}" cy="{y:.1f}" r="7"/>' if end.breached else ""
    over = ", over its SLA" if end.breached else ""
    return f"<g><title>{escape(clean(words + over))}</title>{ring}{_mark(end.outcome, x, y)}</g>"


def _mark(outcome: str, x: float, y: float) -> str:
    if outcome == "success":
        return f'<circle class="ok" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    if outcome == "cancellation":
        return f'<rect class="off" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'
    return f'<path class="bad" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>'


def _legend(height: int) -> Iterator[str]:
    y = height - 16
    places = {"success": "success", "failure": "failure, timeout or error", "cancellation": "cancelled"}
    x = float(_LEFT)
    for outcome, text in places.items():
        yield _mark(outcome, x, y - 4.0)
        yield f'<text x="{x + 10:.1f}" y="{y}">{text}</text>'
        x += 30 + 7 * len(text)
    yield f'<circle class="over" cx="{x:.1f}" cy="{y - 4:.1f}" r="7"/>'
    yield f'<text x="{x + 12:.1f}" y="{y}">over its SLA</text>'


def _short(names: str) -> str:
    return names if len(names) <= 14 else names[:13] + "…"
