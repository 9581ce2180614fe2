"""Names of people: how they are compared, and which are refused.

Compared are Unicode's NFKC with case folding, without what can't be seen (UAX #31 2.3, UTS #39: default ignorable
code points); U+200C and U+200D, which scripts join letters with, may stand in a name and are left out too.
"""

from __future__ import annotations

JOINERS = frozenset("\u200c\u200d")

_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
"""Default ignorable code points (DerivedCoreProperties.txt, Unicode 15) that are neither of Cf nor in ``_RANGES``, the
blank of Braille, and the place of an object that is not there."""

_WITH_ADDRESS = r"(?P<name>[^<>]*)<(?P<address>[^<>\s]+@[^<>\s]+)>"
# Variation selectors, tags, noncharacters and private use, which nobody agreed on how to show.
_RANGES = (
    *((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF), (0xFDD0, 0xFDEF)),
    *((0xE000, 0xF8FF), (0xF0000, 0x10FFFF)),
)
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def folded(name: str) -> str:
    """Return the form in which names are compared: without case, forms of letters, outer space and the invisible."""
    if name.isascii() and name.isprintable():
        return " ".join(name.lower().split())
    import unicodedata

    text = "".join(char for char in unicodedata.normalize("NFKC", name) if not _is_invisible(char))
    # Folding may undo the normalisation, and the other way round (Unicode 3.13, D145).
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(char for char in text if not _is_invisible(char)).split())


def _is_invisible(char: str) -> bool:
    import unicodedata

    code = ord(char)
    if char in _INVISIBLE or code & 0xFFFE == 0xFFFE or any(low <= code <= high for low, high in _RANGES):
        return True
    return unicodedata.category(char) in ("Cf", "Cc") and not char.isspace()


def unfit(name: str) -> str | None:
    """Return which character a name must not have, as ``U+200B``: control and format characters; None when none."""
    if name.isascii() and name.isprintable():
        return None
    import unicodedata

    for char in name:
        if char not in JOINERS and (
            unicodedata.category(char) in _UNFIT or (_is_invisible(char) and unicodedata.category(char) != "Mn")
        ):
            return f"U+{ord(char):04X}"
    return None


def forms_of(name: str) -> frozenset[str]:
    """Return, folded, what somebody is named by ``name``: ``@ann`` is ann, ``Ann <ann@example.org>`` is both."""
    text = folded(name)
    forms = {text, text.removeprefix("@")}
    if "<" in text:
        import re

        written = re.fullmatch(_WITH_ADDRESS, text)
        if written is not None:
            forms.update((written["name"].strip(), written["address"]))
    return frozenset(form for form in forms if form)


def escaped(name: str) -> str:
    """Return a name, as git or the environment has it, with escapes for the characters that ``unfit`` refuses."""
    return "".join(char if unfit(char) is None else char.encode("unicode_escape").decode() for char in name)
