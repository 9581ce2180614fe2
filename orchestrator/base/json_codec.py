"""JSON by the compiled parts of the standard library's ``json``, without the Python modules around them.

To import ``json`` loads ``re`` and ``enum`` and compiles seven patterns: 7 ms of a start of 50 and of a ``status`` of
35. What is read, written and raised is what ``json`` reads, writes and raises: it is asked itself where the compiled
parts do not say the same (text that is no JSON), and on interpreters that don't have them.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Pairs = Callable[[list[tuple[str, Any]]], Any]
    Constant = Callable[[str], Any]
    Number = Callable[[str], Any]

try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    make_encoder = make_scanner = None  # type: ignore[assignment, misc]

_SPACE = " \t\n\r"
_CONSTANTS = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}
_SEPARATORS = (", ", ": ")


class _Reading:
    """How a scanner reads, as the attributes that ``json.JSONDecoder`` has for it."""

    strict = True
    object_hook = None
    array_hook = None  # asked for since Python 3.15

    def __init__(
        self, pairs: Pairs | None, constant: Constant, parse_float: Number = float, parse_int: Number = int
    ) -> None:
        self.object_pairs_hook = pairs
        self.parse_constant = constant
        self.parse_float = parse_float
        self.parse_int = parse_int


_plain_scan = None if make_scanner is None else make_scanner(_Reading(None, _CONSTANTS.__getitem__))  # type: ignore[arg-type]
"""The scanner of who asks for nothing special: made once, as to make one takes as long as a short line."""


def loads(
    data: str | bytes | bytearray, *, object_pairs_hook: Pairs | None = None, parse_constant: Constant | None = None
) -> Any:
    """Return the value of a JSON text, as ``json.loads`` does. Raises ValueError, RecursionError."""
    if make_scanner is not None:
        text = data if isinstance(data, str) else _text(data)
        if text is not None:
            scan = _plain_scan
            if object_pairs_hook is not None or parse_constant is not None or scan is None:
                reading = _Reading(object_pairs_hook, parse_constant or _CONSTANTS.__getitem__)
                scan = make_scanner(reading)  # type: ignore[arg-type]
            begin = len(text) - len(text.lstrip(_SPACE))
            try:
                value, end = scan(text, begin)
            except (StopIteration, SystemError):
                # No JSON. Python 3.11 looks for the error's class in ``json.decoder``, and raises SystemError where
                # that isn't loaded.
                pass
            else:
                if end == len(text) or not text[end:].strip(_SPACE):
                    return value
    import json

    return json.loads(data, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)


def reader(
    *, object_pairs_hook: Pairs, parse_constant: Constant, parse_float: Number, parse_int: Number
) -> Callable[[str], Any]:
    """Return ``json.loads`` with these options, made once, for a text without space around its value."""
    if make_scanner is not None:
        scan = make_scanner(_Reading(object_pairs_hook, parse_constant, parse_float, parse_int))  # type: ignore[arg-type]

        def read(text: str) -> Any:
            try:
                value, end = scan(text, 0)
            except (StopIteration, SystemError):  # as in ``loads``
                end = -1
            return value if end == len(text) else asked(text)

    def asked(text: str) -> Any:
        import json

        return json.loads(
            text,
            object_pairs_hook=object_pairs_hook,
            parse_constant=parse_constant,
            parse_float=parse_float,
            parse_int=parse_int,
        )

    return asked if make_scanner is None else read


def _text(data: bytes | bytearray) -> str | None:
    """Return UTF-8 as text; None for another encoding of Unicode (RFC 4627, 3), which has NULs or a mark in front."""
    head = data[:4]
    if b"\0" in head or head[:3] == b"\xef\xbb\xbf" or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    return data.decode("utf-8", "surrogatepass")


def dumps(
    value: object,
    *,
    sort_keys: bool = False,
    separators: tuple[str, str] | None = None,
    ensure_ascii: bool = True,
    indent: int | None = None,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """Return ``value`` as JSON, as ``json.dumps`` does. Raises TypeError, ValueError, RecursionError."""
    item, key = separators or (", " if indent is None else ",", ": ")
    if make_encoder is None or (indent is not None and (default is not None or not _has_text_keys(value))):
        import json

        return json.dumps(
            value,
            sort_keys=sort_keys,
            separators=(item, key),
            ensure_ascii=ensure_ascii,
            indent=indent,
            default=default,
        )
    written = encode_basestring_ascii if ensure_ascii else encode_basestring

    def compact(value: object) -> str:
        # Markers (here {}) tell a value that holds itself; then: default, of text, indent, sort, skip keys, allow NaN.
        return "".join(
            make_encoder({}, default or _refused, written, None, key, item, sort_keys, False, True)(value, 0)
        )

    def indented(value: object, line: str) -> str:
        inner = line + " " * (indent or 0)
        if isinstance(value, dict) and value:
            pairs = sorted(value.items()) if sort_keys else value.items()
            parts, ends = [f"{compact(name)}{key}{indented(part, inner)}" for name, part in pairs], "{}"
        elif isinstance(value, (list, tuple)) and value:
            parts, ends = [indented(part, inner) for part in value], "[]"
        else:
            return compact(value)
        return f"{ends[0]}{inner}{(item + inner).join(parts)}{line}{ends[1]}"

    return compact(value) if indent is None else indented(value, "\n")


def _has_text_keys(value: object) -> bool:
    """Tell whether all keys in ``value`` are text: others are written as text by rules of their own."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(item) for key, item in value.items())
    return all(map(_has_text_keys, value)) if isinstance(value, (list, tuple)) else True


def encoder(
    *, sort_keys: bool = False, separators: tuple[str, str] | None = None, ensure_ascii: bool = True
) -> Callable[[object], str]:
    """Return ``dumps`` with these options, made once; a value that holds itself is a RecursionError here."""
    if make_encoder is None:
        return lambda value: dumps(value, sort_keys=sort_keys, separators=separators, ensure_ascii=ensure_ascii)
    item, key = separators or (", ", ": ")
    written = encode_basestring_ascii if ensure_ascii else encode_basestring
    encode = make_encoder(None, _refused, written, None, key, item, sort_keys, False, True)
    return lambda value: "".join(encode(value, 0))


def _refused(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
