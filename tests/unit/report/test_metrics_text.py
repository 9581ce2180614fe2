"""Metrics as text, as OpenMetrics and as a plot: what they say, and that foreign names can't break them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.clock import stamp
from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.report.durations_plot import durations_svg
from orchestrator.report.layout import columns
from orchestrator.report.metrics_text import metrics_text
from orchestrator.report.openmetrics import openmetrics
from orchestrator.report.statistics.gate import gate_findings
from orchestrator.report.statistics.metrics_record import End, end_of
from orchestrator.report.statistics.summary import project_summary
from tests.records import START, TASK
from tests.unit.report.test_statistics import line_of

SINCE, UNTIL = START, START + timedelta(days=7)
_SVG = "{http://www.w3.org/2000/svg}"
_SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (-?[0-9.e+-]+|NaN)')
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\[\\n"])*)"')


def end(number: int, **changed: Any) -> End:
    """Return the end of a run."""
    found = end_of(json.dumps(line_of(number)).encode(), TASK)
    assert found is not None
    return replace(found, duration_seconds=10.0 * number, required=True, executed=True, passed=True, **changed)


ENDS = [end(1), end(2, outcome="failure", breached=True), end(3, outcome="cancellation", pipeline_id="smoke")]
FLAKY = [{"pipeline_id": "diagnostics", "stage": "test", "times": 2, "commits": 1, "runs": ["r"]}]


def document_of(name: str | None = "hello", ends: Sequence[End] = ENDS) -> dict[str, Any]:
    """Return a document of one project with runs and one without."""
    summaries, findings = [], []
    for project, its_ends, flaky in ((name, ends, FLAKY), ("empty", [], [])):
        summary = project_summary(project, its_ends, flaky, START + timedelta(days=3))
        found = gate_findings(project, summary, its_ends, {}, MetricsPolicy())
        summaries.append({**summary, "findings": len(found)})
        findings += found
    notes = {
        "unreadable_lines": 3,
        "torn_lines": 1,
        "repeated_lines": 0,
        "records_missing": 0,
        "open_runs": [],
        "in_future": [],
    }
    return {
        "since": stamp(SINCE),
        "until": stamp(UNTIL),
        "window_seconds": 604800.0,
        "projects": summaries,
        "gate": {"met": not findings, "findings": findings},
        "notes": {**notes, "unreadable_tasks": [{"task_id": "x", "reason": "a link"}]},
    }


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of an OpenMetrics text, after checking its grammar."""
    *lines, last, empty = text.split("\n")
    assert (last, empty) == ("# EOF", "")
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    families: list[str] = []
    for line in lines:
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert kind == "gauge"
            assert family not in families
            families.append(family)
        elif line.startswith("#"):
            assert line.startswith((f"# HELP {families[-1]} ", f"# UNIT {families[-1]} "))
            if line.startswith("# UNIT"):
                assert families[-1].endswith(f"_{line.rsplit(' ', 1)[1]}")
        else:
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] == families[-1]
            labels = frozenset((found[1], _unescaped(found[2])) for found in _LABEL.finditer(match[2] or ""))
            assert (match[1], labels) not in samples
            samples[match[1], labels] = float(match[3])
    return samples


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def value_of(samples: Any, name: str, **labels: str) -> float | None:
    """Return a sample, or None when there is none."""
    found: float | None = samples.get((f"codex_orchestrator_{name}", frozenset(labels.items())))
    return found


def test_openmetrics_says_what_the_document_says() -> None:
    """Each figure is a gauge with its labels; what is not known has no sample."""
    samples = parsed(openmetrics(document_of()))
    assert value_of(samples, "runs", project="hello") == 3
    assert value_of(samples, "runs", project="empty") == 0
    assert value_of(samples, "guardrail_coverage_ratio", project="hello") == 1.0
    assert value_of(samples, "guardrail_coverage_ratio", project="empty") is None
    assert value_of(samples, "sla_breaches", project="hello", pipeline="diagnostics") == 1
    assert value_of(samples, "duration_median_seconds", project="hello", pipeline="smoke") == 30.0
    assert value_of(samples, "sla_limit_seconds", project="hello", pipeline="smoke") == 1800.0
    assert value_of(samples, "flaky_stage_turns", project="hello", pipeline="diagnostics", stage="test") == 2
    assert value_of(samples, "unreadable_lines") == 3
    assert value_of(samples, "gate_met") == 0


@given(st.text(max_size=20))
def test_no_name_breaks_the_formats(name: str) -> None:
    """A foreign name comes back as it was from OpenMetrics, and the plot stays well-formed."""
    ends = [end(1, pipeline_id=name or "x", run_id=name or "x", outcome=name or "x")]
    samples = parsed(openmetrics(document_of(name, ends)))
    assert value_of(samples, "runs", project=name) == 1
    assert value_of(samples, "outcome_runs", project=name, outcome=name or "x") == 1
    ElementTree.fromstring(durations_svg(document_of(name, ends), {name: ends}))


def test_the_plot_stands_alone_and_is_stable() -> None:
    """Well-formed, the same bytes again, nothing loaded or run, and told in words."""
    document = document_of()
    text = durations_svg(document, {"hello": ENDS, "empty": []})
    assert text == durations_svg(document, {"hello": ENDS[::-1], "empty": []})
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    labelled = {element.get("id") for element in root}
    assert set((root.get("aria-labelledby") or "").split()) <= labelled
    description = root.findtext(f"{_SVG}desc") or ""
    assert "hello: diagnostics 2 runs, median 15 s, 90th percentile 20 s, SLA 30m, 1 over it" in description
    assert "empty: no runs." in description
    assert not {element.tag.removeprefix(_SVG) for element in root.iter()} & {"script", "image", "use", "foreignObject"}
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    titles = [element.text for element in root.iter(f"{_SVG}title")]
    assert sum("over its SLA" in (title or "") for title in titles) == 1
    assert len(titles) == 1 + len(ENDS)


@given(
    st.lists(st.tuples(st.floats(0, 1e8), st.floats(-1e6, 1e6), st.floats(0.001, 1e8)), max_size=5),
)
def test_every_point_lies_in_its_panel(values: list[tuple[float, float, float]]) -> None:
    """Whatever a run took, and whenever it ended, its mark is inside of the picture."""
    ends = [
        replace(end(place), duration_seconds=took, completed_at=SINCE + timedelta(seconds=at), sla_seconds=limit)
        for place, (took, at, limit) in enumerate(values, 1)
    ]
    root = ElementTree.fromstring(durations_svg(document_of("hello", ends), {"hello": ends}))
    panel = root.findall(f"{_SVG}g")[0]
    circles = list(panel.iter(f"{_SVG}circle"))
    assert len(circles) == len(values)
    assert all(0 <= float(mark.get("cx", "-1")) <= 860 and 0 <= float(mark.get("cy", "-1")) <= 240 for mark in circles)


def test_text_says_what_matters() -> None:
    """Coverage, breaches, durations, flaky stages, the gate's findings and what could not be read are told."""
    text = metrics_text(document_of(), width=110, color=False)
    for part in (
        *("7 days", "hello", "empty", "100 % executed (3 of 3 runs)", "1 run of 3 took longer (33.3 %)"),
        *("diagnostics: median 15 s, p90 20 s of 30m, 2 runs", "test in diagnostics: failed, then passed 2 times"),
        *("not met", "(sla-budget-exceeded)", "(no-guarded-runs)", "3 lines of metrics can't be read", "a link"),
    ):
        assert part in text, part


@given(st.integers(20, 130))
def test_text_fits(width: int) -> None:
    """Lines are no wider than the terminal, but for words, which stay whole."""
    for line in metrics_text(document_of(), width=width, color=False).splitlines():
        assert columns(line) <= max(width, 60), line
