"""The figures of projects' windows as OpenMetrics text, for node_exporter's textfile collector.

Source: OpenMetrics 1.0.0, section 3 (text format). All families are gauges: figures of a window rise and
fall. No sample has a timestamp, which the collector would refuse. What is not known has no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

_PREFIX = "codex_orchestrator"
Sample: TypeAlias = "tuple[Mapping[str, str], float | int | None]"
Samples: TypeAlias = "Callable[[Mapping[str, Any]], Iterator[Sample]]"


def openmetrics(document: Mapping[str, Any]) -> str:
    """Return a metrics document in the OpenMetrics text format, with its ``# EOF``."""
    lines: list[str] = []
    for name, unit, text, samples in _FAMILIES:
        found = [(labels, value) for labels, value in samples(document) if value is not None]
        if found:
            full = "_".join(filter(None, (_PREFIX, name, unit)))
            lines.append(f"# TYPE {full} gauge")
            lines += [f"# UNIT {full} {unit}"] if unit else []
            lines.append(f"# HELP {full} {_escaped(text)}")
            lines += [f"{full}{_labels(labels)} {_number(value)}" for labels, value in found]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float | int) -> str:
    return repr(value)


def _of_projects(*path: str) -> Samples:
    def samples(document: Mapping[str, Any]) -> Iterator[Sample]:
        for project in document["projects"]:
            value: Any = project
            for key in path:
                value = value[key]
            yield {"project": project["project"] or ""}, value

    return samples


def _of_pipelines(*path: str) -> Samples:
    def samples(document: Mapping[str, Any]) -> Iterator[Sample]:
        for project in document["projects"]:
            for pipeline in project["pipelines"]:
                value: Any = pipeline
                for key in path:
                    value = value[key]
                yield {"project": project["project"] or "", "pipeline": pipeline["pipeline_id"]}, value

    return samples


def _outcomes(document: Mapping[str, Any]) -> Iterator[Sample]:
    for project in document["projects"]:
        for outcome, count in project["outcomes"].items():
            yield {"project": project["project"] or "", "outcome": outcome}, count


def _flaky(document: Mapping[str, Any]) -> Iterator[Sample]:
    for project in document["projects"]:
        for entry in project["flaky"]:
            labels = {"project": project["project"] or "", "pipeline": entry["pipeline_id"], "stage": entry["stage"]}
            yield labels, entry["times"]


def _whole(*path: str) -> Samples:
    def samples(document: Mapping[str, Any]) -> Iterator[Sample]:
        value: Any = document
        for key in path:
            value = value[key]
        yield {}, int(value) if isinstance(value, bool) else value

    return samples


_FAMILIES: tuple[tuple[str, str, str, Samples], ...] = (
    ("window", "seconds", "Length of the window that all figures are of.", _whole("window_seconds")),
    ("runs", "", "Runs that ended in the window.", _of_projects("runs")),
    ("outcome_runs", "", "Runs that ended in the window, by outcome.", _outcomes),
    ("guarded_runs", "", "Runs of pipelines that require a guardrail.", _of_projects("guardrails", "runs")),
    (
        "guardrail_coverage",
        "ratio",
        "Guarded runs whose required guardrails were all executed.",
        _of_projects("guardrails", "coverage"),
    ),
    (
        "guardrail_pass",
        "ratio",
        "Guarded runs whose required guardrails all passed.",
        _of_projects("guardrails", "pass_rate"),
    ),
    ("sla_breaches", "", "Runs that took longer than their SLA.", _of_pipelines("sla", "breaches")),
    ("sla_limit", "seconds", "SLA of the latest run.", _of_pipelines("sla_seconds")),
    ("duration_median", "seconds", "Median active time of the runs.", _of_pipelines("duration", "median_seconds")),
    ("duration_p90", "seconds", "Active time of the 90th percentile.", _of_pipelines("duration", "p90_seconds")),
    (
        "duration_trend",
        "ratio",
        "Change of the median from the earlier half of the window to the later.",
        _of_pipelines("duration", "trend", "change"),
    ),
    ("flaky_stage_turns", "", "Times that a stage failed and then passed on the same commit.", _flaky),
    ("gate_findings", "", "Findings of the metrics gate.", _of_projects("findings")),
    ("unreadable_lines", "", "Lines of metrics that could not be read.", _whole("notes", "unreadable_lines")),
    ("torn_lines", "", "Last lines of metrics that were torn.", _whole("notes", "torn_lines")),
    ("gate_met", "", "1 when the metrics gate is met, else 0.", _whole("gate", "met")),
)
