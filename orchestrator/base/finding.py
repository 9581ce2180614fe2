"""Something on record, in a document, in code or in the host's set-up that does not hold.

The words are those of SARIF 2.1.0 (``result``, ``level``, ``relatedLocations``).
"""

from __future__ import annotations

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

Level: TypeAlias = "Literal['error', 'warning']"


class Finding(Record):
    """What is wrong, where, and what to do about it.

    ``code`` is for machines; ``path`` from the workspace where it lies below it, ``line`` in that file (from 1)
    where one is meant; ``files`` are further places, from the workspace. A ``warning`` breaks no promise today.
    ``repairable`` says that ``doctor --repair`` can repair it.
    """

    code: str
    path: str
    message: str
    line: int | None = None
    hint: str = ""
    level: Level = "error"
    repairable: bool = False
    files: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """File and line, as compilers write them."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def as_json(self) -> dict[str, object]:
        """Return the keys that ``verify`` and its kin publish."""
        return {"code": self.code, "path": self.path, "message": self.message, "line": self.line, "hint": self.hint}
