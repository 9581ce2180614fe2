"""What masks the secrets of a run; most texts without a secret are known as such before anything is loaded."""

from __future__ import annotations

from collections.abc import Container, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.redaction.finder import Finder, FinderMaker
    from orchestrator.base.redaction.masking import Stream
    from orchestrator.base.redaction.needles import Needles

TOKEN_HEADS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glptt-", "AKIA", "ASIA"),
    *("xox", "sk-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "npm_", "pypi-AgE", "AIza", "hf_", "eyJ"),
    "-----BEGIN ",
)
"""What tokens of the known ``shapes`` begin with, which stand here so that those are loaded only when one is met."""

URL_HEAD = "://"
"""What the password of a URL comes after; it is one only where an ``@`` follows."""


def may_hold_token(text: str) -> bool:
    """Tell whether a token of a known shape may be in ``text``, hidden by control or invisible characters too."""
    if not text.isprintable() and not text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return True
    return any(head in text for head in TOKEN_HEADS) or (URL_HEAD in text and "@" in text)


class Redactor:
    """Masks ``values`` in all their usual encodings, and tokens of well-known shapes whatever their value.

    Build it once for a run: its tables take a few milliseconds for 20 values, when they are first needed.
    """

    def __init__(self, values: Iterable[str], *, finder: FinderMaker | None = None) -> None:
        """``finder`` makes the search from the needles and the shapes of tokens."""
        self._values = tuple(values)
        self._maker = finder
        self._tables: tuple[Needles, Finder] | None = None

    def add(self, value: str) -> None:
        """Mask ``value`` too from here on, in text and in new streams."""
        self._values = (*self._values, value)
        self._tables = None

    def stream(self) -> Stream:
        """Return a new masked stream; each stream of bytes needs its own."""
        from orchestrator.base.redaction.masking import Stream

        return Stream(*(self._tables or self._make_tables()))

    def text(self, text: str) -> str:
        """Return ``text`` without secrets; lone surrogates, as in ``os.environ``, are kept."""
        if not self._values and not may_hold_token(text):
            return text
        try:
            errors = "surrogateescape"
            data = text.encode("utf-8", errors)
        except UnicodeEncodeError:
            errors = "surrogatepass"
            data = text.encode("utf-8", errors)
        masked = self.stream().whole(data)
        return text if masked == data else masked.decode("utf-8", errors)

    def document(self, value: Any, *, keep: Container[str] = ()) -> Any:
        """Return a JSON-like ``value`` with every string in it masked, keys too.

        What stands below a key in ``keep`` is returned as it is: ids and paths, which are never masked.
        Keys that become the same are numbered, so that no entry is lost.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            masked: dict[Any, Any] = {}
            for key, item in value.items():
                name = _free(self.text(key) if isinstance(key, str) else key, masked)
                masked[name] = item if key in keep else self.document(item, keep=keep)
            return masked
        if isinstance(value, list | tuple):
            return [self.document(item, keep=keep) for item in value]
        return value

    def _make_tables(self) -> tuple[Needles, Finder]:
        from orchestrator.base.redaction.finder import AdaptiveFinder
        from orchestrator.base.redaction.needles import Needles
        from orchestrator.base.redaction.shapes import SHAPES

        needles = Needles(self._values)
        self._tables = (needles, (self._maker or AdaptiveFinder)(needles.all, SHAPES))
        return self._tables


def _free(key: Any, taken: Container[Any]) -> Any:
    """Return ``key``, with a number when it is taken."""
    if key not in taken:
        return key
    number = 2
    while f"{key} ({number})" in taken:
        number += 1
    return f"{key} ({number})"
