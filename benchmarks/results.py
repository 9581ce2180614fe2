"""What the measuring of a row gives, and its form in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.goals import BY_ID, verdict
from benchmarks.ratios import Paired, Sample, paired


@dataclass(frozen=True, slots=True)
class Result:
    """A row's figure, which the goal judges, and what is behind it; or why there is none (``skipped``)."""

    row: str
    figure: float | None = None
    pair: Paired | None = None
    note: str = ""
    skipped: str = ""
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)

    @classmethod
    def compared(cls, row: str, ours: Sequence[Sample], peer: Sequence[Sample], note: str = "") -> Result:
        """Return the result of a ratio row: the median of the paired ratios is its figure."""
        pair = paired(ours, peer)
        return cls(row, pair.median, pair, note, samples={"ours": ours, "peer": peer})

    @property
    def verdict(self) -> str:
        """``met``, ``aim missed``, ``must missed``, ``skipped`` or an empty text."""
        return "skipped" if self.skipped else verdict(BY_ID[self.row], self.figure)

    def document(self) -> dict[str, Any]:
        """Return the result as JSON; times in seconds."""
        row = BY_ID[self.row]
        samples = {name: [_sample(sample) for sample in taken] for name, taken in self.samples.items()}
        return {
            "title": row.title,
            "unit": row.unit,
            "must": row.must,
            "aim": row.aim,
            "verdict": self.verdict,
            "figure": _rounded(self.figure),
            "paired": None if self.pair is None else {key: _rounded(value) for key, value in asdict(self.pair).items()},
            "note": self.note,
            "skipped": self.skipped,
            "samples": samples,
        }


def _sample(sample: Sample) -> list[float | bool]:
    return [round(sample.wall, 4), round(sample.cpu, 4), sample.noisy]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
