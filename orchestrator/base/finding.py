"""What a verification found: something on record, or claimed in a document, that does not hold."""

from __future__ import annotations

from orchestrator.base.record import Record


class Flaw(Record):
    """``code`` is for machines; ``path`` from the workspace, ``line`` in that file (from 1) where one is meant."""

    code: str
    path: str
    message: str
    line: int | None = None
    hint: str = ""

    @property
    def place(self) -> str:
        """File and line, as compilers write them."""
        return self.path if self.line is None else f"{self.path}:{self.line}"
