"""A stage's output on its way to a terminal: text, line ends, tabs, colours; nothing that moves, hides, sets or copies.

Control sequences are those of ECMA-48 and xterm's ctlseqs. Logs keep the bytes; only what is shown is filtered.
"""

from __future__ import annotations

import codecs
import re

from orchestrator.base.text.safe_text import BIDIRECTIONAL, INVISIBLE, MARKS, MOST_MARKS, RESET

_LONGEST_COLOUR = 64
"""Characters of parameters in a colour sequence that is let through; ``38;2;255;255;255;48;2;255;255;255`` has 35."""

_LONGEST_STRING = 1000
_LONGEST_PARAMETERS = 250
"""Characters of sequences that are dropped without a trace. Masking reads past those of 4096 and 256 bytes
(``redaction.noise``): what stands on both sides of a longer one must not be joined here."""

_STRING_BODY = r"[^\x07\x1b\x9c\n\r\x18\x1a]*+"
_SEQUENCE = re.compile(
    rf"(\x1b\[[0-9;:]{{0,{_LONGEST_COLOUR}}}m)"  # a colour: the only group
    r"|\x1b\[[ -?]*+[@-~]?"  # any other control sequence, also one that is cut short
    rf"|\x1b[\]PX^_]{_STRING_BODY}[\x07\x9c]?"  # title, clipboard, link, picture …; ESC \ is dropped by itself
    r"|\x1b[ -/]{0,3}+[0-~]?"  # two characters and more: ESC c resets the terminal
    rf"|[\x00-\x08\x0b-\x1f\x7f-\x9f{BIDIRECTIONAL}{INVISIBLE}]"
)
_CUT_SHORT = re.compile(r"\x1b(?:\[[ -?]*+|[ -/]{0,3}+)")
_REST_OF_SEQUENCE = re.compile(r"[ -?]*+")
_REST_OF_STRING = re.compile(_STRING_BODY)
_OPEN_STRING = re.compile(rf"\x1b[\]PX^_]{_STRING_BODY}")
_COLOURS = re.compile(rb"\x1b\[([0-9;:]*)m")
_COLOUR = re.compile(rb"\x1b\[[0-9;:]{0,%d}m" % _LONGEST_COLOUR)
_PLAIN = bytes(byte for byte in range(128) if byte in b"\t\n" or 32 <= byte < 127)
_ABOVE_ASCII = bytes(range(128, 256))
_UNSAFE_UTF8 = tuple(
    # One expression of four alternatives takes seven times as long: only a fixed beginning is looked for quickly.
    (pattern[:1], re.compile(pattern))
    for pattern in (
        *(b"\xc2[\x80-\x9f\xad]", b"\xd8\x9c", b"\xe2\x80[\x8b\x8e\x8f\xaa-\xae]", b"\xe2\x81[\xa0-\xa9]"),
        *(b"\xcc", b"\xcd[\x80-\xaf]", b"\xd2[\x83-\x89]", b"\xe1[\x85\xa0\xaa\xab\xb7]", b"\xe2\x83[\x90-\xbf]"),
        *(b"\xe3\x85\xa4", b"\xef\xb8[\xa0-\xaf]", b"\xef\xbb\xbf", b"\xef\xbe\xa0", b"\xf3\xa0[\x80\x81]"),
    )
)
"""Characters that need filtering, each after its first byte."""
_MARKS = re.compile(f"[{MARKS}]+")
_CARRIAGE = re.compile(r"\r+\n?")


class TerminalFilter:
    """One stream of bytes on its way to a terminal; the output does not depend on how the input is cut.

    Passed on: text in UTF-8, newlines, tabs, and colour sequences (``ESC [ … m``) when ``color``. Bytes that
    are not UTF-8 become U+FFFD. A carriage return, alone or before a newline, becomes a newline: what was
    printed is never overwritten, so a progress bar shows as one line for each of its states. A title or
    clipboard sequence without an end is dropped up to the end of its line. Of combining
    marks eight stay on a letter. Everything else is dropped, invisible characters too.

    Less than 100 bytes are withheld, and only of an unfinished sequence or character.
    """

    def __init__(self, *, color: bool = True) -> None:
        self._color = color
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._in_character = False
        self._held = ""
        self._inside: re.Pattern[str] | None = None  # what is still to be dropped of a sequence or string
        self._colored = False
        self._dropped = 0  # as many characters of that sequence or string were dropped
        self._marks = 0  # as many combining marks stand at the end of what was shown

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what of them may be shown."""
        parts = []
        start = 0
        if self._held or self._inside or self._in_character or self._marks:
            start = data.find(b"\n") + 1 or len(data)
            parts.append(self._filter(data[:start]))
        # Nothing that is withheld contains a newline, so whole lines can be taken as they are if they are harmless.
        lines = max(start, data.rfind(b"\n") + 1)
        parts.extend(self._harmless(part) for part in (data[start:lines], data[lines:]) if part)
        return b"".join(parts)

    def _harmless(self, data: bytes) -> bytes:
        """Return ``data`` itself, but for the colours, if nothing in it needs filtering; else filter it."""
        bare = _COLOUR.sub(b"\0", data) if b"\x1b" in data else data
        # All that is not plain is nothing in most output, and little of nearly all: one pass finds it.
        special = bare.translate(None, _PLAIN)
        if special:
            if b"\0" in data or special.translate(None, _ABOVE_ASCII).strip(b"\0"):
                return self._filter(data)
            try:
                bare.decode()
            except UnicodeDecodeError:
                return self._filter(data)
            # Of valid UTF-8 the bytes above ASCII are whole characters.
            if any(first in special and pattern.search(special) is not None for first, pattern in _UNSAFE_UTF8):
                return self._filter(data)
        if bare is data:
            return data
        if not self._color:
            return bare.replace(b"\0", b"")
        self._note_color(data)
        return data

    def _filter(self, data: bytes) -> bytes:
        text = self._decoder.decode(data)
        self._in_character = bool(self._decoder.getstate()[0])
        return self._show(self._held + text)

    def flush(self) -> bytes:
        """Return what was withheld; the stream has ended."""
        shown = self._show(self._held + self._decoder.decode(b"", final=True))
        ended = b"\n" if self._held == "\r" else b""
        self._held, self._inside, self._in_character = "", None, False
        return shown + ended

    def reset_if_needed(self) -> bytes:
        """Return what ends a colour that was switched on and not off again, or nothing."""
        colored, self._colored = self._colored, False
        return RESET if colored else b""

    def _show(self, text: str) -> bytes:
        """Return what of ``text`` may be shown, holding back an unfinished end."""
        text = self._without_rest(text)
        self._held = ""
        if text.endswith("\r"):
            kept = text.rstrip("\r")
            self._held, text = "\r", kept
        text = _CARRIAGE.sub("\n", text)
        escape = text.rfind("\x1b")
        if escape >= 0 and not self._held:
            text = self._without_unfinished(text, escape)
        shown = self._fewer_marks(_SEQUENCE.sub(self._replacement, text)).encode()
        self._note_color(shown)
        return shown

    def _replacement(self, match: re.Match[str]) -> str:
        """Return what is shown instead of a sequence."""
        if match[1]:
            return match[1] if self._color else ""
        return _trace(match[0][1:2] == "[", len(match[0]))

    def _fewer_marks(self, text: str) -> str:
        """Return ``text`` with at most eight combining marks on a letter."""
        if text.isascii() and not self._marks:
            return text
        before, self._marks = self._marks, self._marks if not text else 0

        def fewer(match: re.Match[str]) -> str:
            already = before if match.start() == 0 else 0
            if match.end() == len(text):
                self._marks = already + len(match[0])
            return match[0][: max(0, MOST_MARKS - already)]

        return _MARKS.sub(fewer, text)

    def _without_rest(self, text: str) -> str:
        """Return ``text`` without the rest of a sequence or string that began earlier."""
        if self._inside is None:
            return text
        rest = self._inside.match(text)
        end = rest.end() if rest else 0
        if end == len(text):
            self._dropped += end
            return ""
        ended = text[end] in "\x07\x9c" if self._inside is _REST_OF_STRING else "@" <= text[end] <= "~"
        trace = _trace(self._inside is _REST_OF_SEQUENCE, self._dropped + end + ended)
        self._inside = None
        return trace + text[end + ended :]

    def _without_unfinished(self, text: str, escape: int) -> str:
        """Return ``text`` without a sequence, begun at ``escape``, that the text ends in; remember it."""
        if _OPEN_STRING.fullmatch(text, escape):
            self._inside = _REST_OF_STRING
        elif _CUT_SHORT.fullmatch(text, escape):
            if len(text) - escape <= _LONGEST_COLOUR + 2:
                self._held = text[escape:]
            else:
                self._inside = _REST_OF_SEQUENCE
        else:
            return text
        self._dropped = len(text) - escape
        return text[:escape]

    def _note_color(self, shown: bytes) -> None:
        """Remember whether a colour is on at the end of what is shown."""
        last = shown.rfind(b"\x1b[")
        match = _COLOURS.match(shown, last) if last >= 0 else None
        if match is not None:
            self._colored = match[1].strip(b"0;") != b""


def _trace(is_control_sequence: bool, length: int) -> str:
    """Return what stays of a sequence or string of so many characters: U+FFFD when it is very long."""
    return "\ufffd" if length > (_LONGEST_PARAMETERS if is_control_sequence else _LONGEST_STRING) else ""
