"""What is looked for: the needles, and which of them stands, or begins to stand, at a place."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.base.redaction.encodings import encoded
from orchestrator.base.redaction.finder import occurrences
from orchestrator.base.redaction.values import MIN_BYTES


class Needles:
    """Every form of every value; all of them have at least ``MIN_BYTES`` bytes."""

    def __init__(self, values: Iterable[str]) -> None:
        """Values that are shorter than ``MIN_BYTES`` bytes, and those of asterisks only, are left out."""
        forms = {form for value in values if value.strip("*") for form in encoded(value) if len(form) >= MIN_BYTES}
        self.all = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._by_head: dict[bytes, list[bytes]] = {}
        for form in self.all:
            self._by_head.setdefault(form[:MIN_BYTES], []).append(form)
        self._joined = b"\n\n".join(self.all)
        self._beginnings = frozenset(form[:length] for form in self.all for length in (1, 2, 3))

    def end(self, data: bytes, at: int) -> int:
        """Return where the longest needle that begins at ``data[at]`` ends, or ``at`` when there is none."""
        for needle in self._by_head.get(data[at : at + MIN_BYTES], ()):
            if data.startswith(needle, at):
                return at + len(needle)
        return at

    def begun(self, data: bytes) -> int:
        """Return the length of the longest end of ``data`` that more bytes could make a needle."""
        last = data[-4:]
        longest = 0
        if len(last) == 4 and last in self._joined:
            for needle in self.all:
                for at in occurrences(needle, last):
                    length = at + 4
                    if longest < length < len(needle) and data.endswith(needle[:length]):
                        longest = length
        if longest:
            return longest
        return next((length for length in (3, 2, 1) if data[-length:] in self._beginnings and len(data) >= length), 0)
