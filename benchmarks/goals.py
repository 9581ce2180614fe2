"""The rows and their goals, as data. Figures are ours ÷ peer unless the unit says otherwise; less is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["ratio", "count", "MiB", "ms"]


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of the table compares. ``must`` and ``aim`` are the largest figures that meet either goal."""

    id: str
    title: str
    must: float | None = None
    aim: float | None = None
    unit: Unit = "ratio"


ROWS = (
    Row("start-nox", "start, four no-op stages ÷ bare nox", 1.3, 1.0),
    Row("start-npm", "start, four no-op stages ÷ npm release", 0.45, 0.3),
    Row("start-history", "start with 1,500 runs before it ÷ with 10", 1.05, 1.02),
    Row("start-syncs", "fsyncs of a start, four no-op stages", unit="count"),
    Row("status-invoke", "status ÷ `invoke --list`", 1.0, 0.3),
    Row("status-npm", "status ÷ npm release's status", 0.25, 0.06),
    Row("status-history", "status of an old run's full id, 100,000 runs ÷ 10", 1.1),
    Row("status-latest", "status of `latest`, 100,000 runs ÷ 10", 1.5),
    Row("runs-history", "runs, 100,000 runs ÷ 10", 1.5),
    Row("metrics-outside", "metrics, 100,000 lines before the window ÷ 10 lines"),
    Row("metrics-inside", "metrics, 100,000 lines in the window ÷ 10 lines"),
    Row("metrics-loads", "metrics, 100,000 lines in the window ÷ `json.loads` of those lines", 4.0),
    Row("prune-rm", "prune of 10,000 runs ÷ `rm -r` of the same folders", 3.0),
    Row("verify-sha", "verify --all of 10,000 runs ÷ sha256 of the same bytes", 10.0),
    Row("doctor-sha", "doctor with 10,000 runs ÷ sha256 of the same bytes", 10.0),
    Row("crowd-npm", "50 starts at once ÷ npm release", 0.35, 0.25),
    Row("crowd-lost", "50 starts at once: records lost", 0, 0, "count"),
    Row("crowd-refused", "50 starts at once: refused or failed", 0, 0, "count"),
    Row("crowd-npm-failed", "the same of the npm release: lost, refused or failed", unit="count"),
    Row("output-npm", "a stage printing 200 MiB, 20 secrets masked ÷ npm release", 0.3, 0.12),
    Row("output-tee", "the same ÷ `tee` of what it prints", 6),
    Row("output-shown", "the same, and every line shown as text ÷ npm release, which shows none"),
    Row("output-growth", "growth of our memory from 1 MiB of output to 1 GiB", 2, 2, "MiB"),
    Row("makespan", "build 0.5 s, then three of 0.5 s: makespan ÷ ideal", 1.25, 1.14),
    Row("makespan-just", "the same by just"),
    Row("makespan-doit", "the same by doit -n 3"),
    Row("makespan-nox", "the same by nox -j 3"),
    Row("unchanged-doit", "second run, 1,000 unchanged inputs ÷ doit", 0.6, 0.35),
    Row("unchanged-turbo", "second run, 1,000 unchanged inputs ÷ turbo, native"),
    Row("memory-start", "peak memory of the whole tree, start of four no-op stages", unit="MiB"),
    Row("memory-nox", "the same of bare nox", unit="MiB"),
    Row("memory-npm", "the same of the npm release", unit="MiB"),
    Row("memory-output", "peak memory of the whole tree, a stage printing 200 MiB", unit="MiB"),
    Row("memory-output-npm", "the same of the npm release", unit="MiB"),
    Row("plan-tomllib", "plan --all of 500 projects ÷ tomllib over the same files", 3.0),
    Row("affected-status", "plan --affected, one change in 500 projects ÷ git status", 5.0),
    Row("fleet-xargs", "fleet of 100 no-op projects ÷ the same starts by xargs -P", 1.0),
    Row("fleet-memory", "peak memory of the parent of that fleet", 80.0, unit="MiB"),
    Row("cloud-local", "start in the cloud, engine and worker on this machine ÷ started here", 5.0, 3.0),
    Row("fleet-digest-bytes", "bytes of that fleet's answer", unit="count"),
    Row("fleet-status-bytes", "bytes of its projects in status", unit="count"),
    Row("fleet-turbo", "fleet of 50 packages, `true` in each, cold ÷ turbo run", 3.0, 1.5),
    Row("fleet-turbo-unchanged", "the same, unchanged", 3.0, 1.5),
    Row("fleet-launcher-unchanged", "the same ÷ turbo as npm calls it, by its launcher"),
    Row("records-turbo", "the system calls of 50 such records alone ÷ turbo run"),
)

BY_ID = {row.id: row for row in ROWS}


def verdict(row: Row, figure: float | None) -> str:
    """Return ``met``, ``aim missed``, ``must missed``, or an empty text where there is no goal or no figure."""
    if figure is None or (row.must is None and row.aim is None):
        return ""
    if row.must is not None and figure > row.must:
        return "must missed"
    return "aim missed" if row.aim is not None and figure > row.aim else "met"
