"""``::add-mask::`` of GitHub in a stage's output: a value that is a secret from there on.

Source: GitHub Docs, "Workflow commands for GitHub Actions", "Masking a value in a log".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.base.redaction import Redactor
from orchestrator.base.redaction.masking import Stream

_COMMAND = b"::add-mask::"
_LINE_END = re.compile(rb"[\r\n]")
_LONGEST = 64 * 1024
"""Bytes of one value; GitHub's own limit of a line is below."""

SHORTEST = 6
"""Bytes of a value that is masked (contract, section 5, promise 10); shorter ones would mask half of all text."""


class MaskCommands:
    """Finds the values in a stage's output, which is withheld from the command to its line's end, and no more."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, data: bytes) -> tuple[bytes, list[bytes]]:
        """Return what may be passed on, and the values that its commands name, escapes undone."""
        text = self._line + data
        end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        rest = text[end:].lstrip()
        is_command = rest.startswith(_COMMAND) or _COMMAND.startswith(rest)
        if not rest or not is_command or len(rest) > _LONGEST:
            self._line = b""
            return text, _values(text)
        self._line = text[end:]
        return text[:end], _values(text[:end])

    def flush(self) -> tuple[bytes, list[bytes]]:
        """Return what was withheld, and its value."""
        rest, self._line = self._line, b""
        return rest, _values(rest)


def _values(text: bytes) -> list[bytes]:
    if _COMMAND not in text:
        return []
    found = [line.strip() for line in _LINE_END.split(text)]
    values = [line.removeprefix(_COMMAND) for line in found if line.startswith(_COMMAND)]
    return [value for value in map(_unescaped, values) if value]


def _unescaped(value: bytes) -> bytes:
    return value.replace(b"%0D", b"\r").replace(b"%0A", b"\n").replace(b"%25", b"%")


class LearningRedactor(Redactor):
    """Masks as the run's redactor does, which learns the values that stages name: every stream masks them from then on.

    ``report`` gets each value, for the CI system around the run; None where what shows the run shows no output.
    """

    def __init__(self, shared: Redactor, report: Callable[[bytes], None] | None) -> None:
        super().__init__(())
        self._shared = shared
        self._report = report
        self._live: list[_LearningStream] = []

    def stream(self) -> Stream:
        """Return a new masked stream that learns."""
        stream = _LearningStream(self._shared.stream(), self)
        self._live.append(stream)
        return stream

    def text(self, text: str) -> str:
        """Return text without secrets."""
        return self._shared.text(text)

    def learn(self, value: bytes) -> None:
        """Mask a value from here on, in streams that are open too."""
        if len(value) >= SHORTEST:
            text = value.decode("utf-8", "surrogateescape")
            self._shared.add(text)
            for stream in self._live:
                stream.mask_also(Redactor([text]).stream())
        if self._report is not None:
            self._report(value)

    def forget(self, stream: _LearningStream) -> None:
        """Leave out a stream that has ended."""
        self._live.remove(stream)


class _LearningStream(Stream):
    """A masked stream with others behind it, one for each value that was learned while it was open.

    What the first one holds back, as it may be the beginning of a secret, stays withheld.
    """

    def __init__(self, first: Stream, owner: LearningRedactor) -> None:
        self._chain = [first]
        self._owner = owner
        self._commands = MaskCommands()

    def mask_also(self, stream: Stream) -> None:
        self._chain.append(stream)

    def feed(self, data: bytes) -> bytes:
        passed, values = self._commands.feed(data)
        for value in values:
            self._owner.learn(value)
        for stream in self._chain:
            passed = stream.feed(passed)
        return passed

    def flush(self) -> bytes:
        rest, values = self._commands.flush()
        for value in values:
            self._owner.learn(value)
        self._owner.forget(self)
        for stream in self._chain:
            rest = stream.feed(rest) + stream.flush()
        return rest
