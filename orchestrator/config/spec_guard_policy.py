"""What a project asks of the spec guard: its config's table ``[spec_guard]``."""

from __future__ import annotations

from orchestrator.base.record import Record

DEFAULT_CODE = ("*",)
DEFAULT_EXCLUDE = ("*.md", "*.rst", "/docs/")
DEFAULT_SPECS = ("tasks/specs/**", "tasks/index.json")
"""Source: the contract, section 2 (``tasks/specs/**``, ``tasks/index.json``)."""

DEFAULT_AGE_DAYS = 30
ANY_AGE = "any"
"""What the config says where no review is ever too old."""

DEFAULT_RECORDS = 10
MOST_RECORDS = 10_000
_EVERYTHING = frozenset({"*", "**", "/*", "/**"})


class SpecGuardPolicy(Record):
    """``[spec_guard]``. Patterns are those of ``globs``.

    ``code`` and ``exclude`` say which files of the project's folder are code, ``specs`` which files of the
    workspace answer for it; ``base`` is the commit to compare with where nobody names one; a spec's review may
    be ``max_review_age`` days old, or any age when that is None. ``checklists`` and ``evidence`` switch those checks;
    ``records`` is how many of the task's last ended attempts are verified, 0 for none.
    """

    code: tuple[str, ...] = DEFAULT_CODE
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    specs: tuple[str, ...] = DEFAULT_SPECS
    base: str | None = None
    max_review_age: int | None = DEFAULT_AGE_DAYS
    checklists: bool = True
    evidence: bool = True
    records: int = DEFAULT_RECORDS

    def softer(self) -> tuple[str, ...]:
        """Return in words what the table asks less of than the default does."""
        age = self.max_review_age
        said = {
            "no path is code": not self.code or not _EVERYTHING.isdisjoint(self.exclude),
            "every change is one of a spec": not _EVERYTHING.isdisjoint(self.specs),
            f"reviews may be {age} days old": age is not None and age > DEFAULT_AGE_DAYS,
            "reviews may be of any age": age is None,
            "checklists are not checked": not self.checklists,
            "evidence is not checked": not self.evidence,
            "records are not verified": self.records == 0,
        }
        return tuple(text for text, holds in said.items() if holds)
