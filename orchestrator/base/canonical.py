"""Digests of JSON values, in the two forms that records have.

The first form is Python's own (sorted keys, no spaces, numbers as Python writes them). The second is RFC 8785, the
JSON Canonicalization Scheme, which any language can compute again.
"""

from __future__ import annotations

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.sha256 import sha256
from orchestrator.base.text.well_formed import well_formed_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_EXACT = 1 << 53
"""Whole numbers below are the same in every language's doubles (RFC 8785, appendix D)."""
_MOST_FLOAT = 10.0**15
_LEAVES = frozenset({str, bool, type(None)})


class _NotPlainError(Exception):
    """A value whose RFC 8785 form may differ from that of Python's encoder."""


def digest_of(value: object) -> str:
    """Return the sha256 (hex) of the first form: sorted keys, no spaces, UTF-8."""
    return sha256(_compact(value).encode("utf-8", "surrogatepass")).hexdigest()


def canonical_digest(value: object) -> str:
    """Return the sha256 (hex) of the canonical JSON of ``value`` (RFC 8785). Raises DamagedRecord where it has none."""
    return sha256(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """Return the canonical JSON of ``value``, as RFC 8785 says.

    Python's compiled encoder writes the same for keys of ASCII, whole numbers below 2^53 and numbers of at most
    three decimals, once those without a fraction are whole; the library, whose import takes 16 ms, is asked about
    everything else. Text that UTF-8 does not have counts with U+FFFD in its place, as other languages read it.
    Raises DamagedRecord for numbers that have no canonical form.
    """
    try:
        return _compact(_plain(value)).encode("utf-8")
    except UnicodeEncodeError:
        return canonical(well_formed_values(value))
    except _NotPlainError:
        pass
    import rfc8785

    try:
        return rfc8785.dumps(well_formed_values(value))  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError as error:
        raise DamagedRecord(f"the record has no canonical form (RFC 8785): {error}") from None


def _plain(value: Any) -> Any:
    """Leaves that stay as they are, most of a record, cost no call: a whole history is digested by ``verify``."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        try:
            ascii_keys = "".join(value).isascii()
        except TypeError:
            raise _NotPlainError from None
        if not ascii_keys:
            raise _NotPlainError
        return {key: item if type(item) in _LEAVES else _plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [item if type(item) in _LEAVES else _plain(item) for item in value]
    if kind is int and -_EXACT < value < _EXACT:
        return value
    if kind is float and -_MOST_FLOAT < value < _MOST_FLOAT and round(value, 3) == value:
        return int(value) if value.is_integer() else value
    raise _NotPlainError


class CanonicalReader:
    """Reads JSON whose canonical form is asked for next, and looks at its numbers on the way.

    ``object_pairs_hook`` and ``parse_constant`` are as in ``json.loads``.
    """

    def __init__(
        self, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any], parse_constant: Callable[[str], Any]
    ) -> None:
        self._pairs, self._constant = object_pairs_hook, parse_constant
        self._read_plain = json_codec.reader(
            object_pairs_hook=object_pairs_hook,
            parse_constant=parse_constant,
            parse_float=_plain_float,
            parse_int=_plain_int,
        )

    def read(self, text: str) -> tuple[Any, str]:
        """Return the value of an ASCII text, and its canonical form; raises as ``json.loads`` and ``canonical`` do."""
        if "\\" not in text:  # else a key may be of other letters, whose order is another one
            try:
                value = self._read_plain(text)
                return value, _compact(value)
            except _NotPlainError:
                pass
        value = json_codec.loads(text, object_pairs_hook=self._pairs, parse_constant=self._constant)
        return value, canonical(value).decode()


def _plain_float(text: str) -> float:
    """Return a number that the canonical form writes as Python does."""
    value = float(text)
    if -_MOST_FLOAT < value < _MOST_FLOAT and round(value, 3) == value and not value.is_integer():
        return value
    raise _NotPlainError


def _plain_int(text: str) -> int:
    value = int(text)
    if -_EXACT < value < _EXACT:
        return value
    raise _NotPlainError


_compact = json_codec.encoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
