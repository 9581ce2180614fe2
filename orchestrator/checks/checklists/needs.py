"""What an item requires of its proof: ``(needs: diagnostics/build, approval)``, exactly so.

What only looks like it (another case, bracket, blank or word) is reported, so that no requirement is dropped.
"""

from __future__ import annotations

import html
import re
import unicodedata

from orchestrator.base.identifiers import NAME_PATTERN
from orchestrator.base.record import Record
from orchestrator.base.text.normal_form import normal_form
from orchestrator.checks.checklists.markdown import without_code

APPROVAL = "approval"

_NEEDS = re.compile(r"\(needs: (?P<needs>[^()\[\]]*)\)")
_WORD = re.compile(rf"{NAME_PATTERN}(?:/{NAME_PATTERN})?")
_NOISE = re.compile(r"[*_~\\\u00ad]|</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>")
_LOOK_ALIKES = str.maketrans("\u0435\u0455\u0501\u0578\u0274\u1d07\u1d05\ua731", "esdnneds")
"""Letters of other scripts that nobody tells from those of "needs" (UTS #39, confusables.txt)."""

_SIMILAR = r"n[ed]{1,5}s{0,3}(?:ed|ing)?"
_LOOKS = re.compile(
    rf"[(\[{{<«「【〔]\s*{_SIMILAR}\b"  # (needs diagnostics), [Needs: …], (need: …)
    rf"|\b{_SIMILAR}\s*[:;=]\s*(?:approval\b|diagnostics\b|smoke\b|[\w.-]+/[\w.-]+|[\w.-]++(?:\s*,\s*[\w.-]++)*+\W*+$)"
    r"|\bneeds?\s*[:;=]\s*$"
)


class Needs(Record):
    """Pipelines, ``pipeline/stage`` and ``approval``; ``unclear`` says what looks like a requirement and is none."""

    words: tuple[str, ...]
    unclear: str | None


def needs_of(claim: str, beside: str = "") -> Needs:
    """Return the requirements in an item's ``claim``; ``beside`` is the rest of its list item, which holds none.

    A requirement that is quoted as code counts for nothing beside one that is not.
    """
    text = without_code(claim)
    found = [match["needs"] for match in _NEEDS.finditer(text)]
    words = tuple(dict.fromkeys(" ".join(word.split()) for part in found for word in part.split(",")))
    for part in found:
        if not part.strip():
            return Needs((), "'(needs: )' names nothing")
    wrong = [word for word in words if _WORD.fullmatch(word) is None]
    if wrong:
        return Needs(words, f"'{wrong[0]}' is no pipeline, pipeline/stage or 'approval'")
    if looks_like_needs(_NEEDS.sub(" ", text)) or (not found and (_NEEDS.search(claim) or looks_like_needs(claim))):
        return Needs(words, "something in it looks like a requirement and is none")
    if looks_like_needs(beside):
        return Needs(words, "what looks like a requirement stands outside of the item's first paragraph")
    return Needs(words, None)


def looks_like_needs(text: str) -> bool:
    """Tell whether a reader would take something in ``text`` for a requirement."""
    plain = normal_form("NFKC", html.unescape(_NOISE.sub("", text))).casefold().translate(_LOOK_ALIKES)
    if not plain.isascii():
        plain = "".join(char for char in plain if unicodedata.category(char) != "Cf")
    return any(_LOOKS.search(" ".join(line.split())) is not None for line in (plain, *plain.split("\n")))
