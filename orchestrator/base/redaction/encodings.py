"""The forms in which a secret shows up in output: base64, hex, URL, JSON, shell, XML and Python escapes."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_URL_SAFE = (b"", b"/", b"!'()*", b"!'()*;,/?:@&=+$#")
"""What Python's ``quote`` leaves with ``safe=""`` and by default, JavaScript's encodeURIComponent, and encodeURI."""

_WRAPS = (76, 64)
"""Line lengths of base64 as coreutils and MIME, and as PEM and OpenSSL write it."""

_BASH_SPECIAL = frozenset(b" !\"#$&'()*,;<=>?[\\]^`{|}~")
"""What bash's ``printf %q`` writes a backslash before."""

_BASH_NAMED = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 27: b"\\E"}


def encoded(value: str) -> frozenset[bytes]:
    """Return every form of ``value`` that is masked, as bytes, ``value`` itself in UTF-8 among them.

    Bytes that were not UTF-8 come as lone surrogates (PEP 383), as in ``os.environ``.
    """
    raw = value.encode("utf-8", "surrogateescape")
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode(), *_base64(raw)}
    if not raw.isalnum():
        forms.update(_url(raw))
        forms.update(_json(value))
        forms.update(_shell(raw))
        forms.update(_markup(raw))
        forms.update((_python(value), _python(raw)))
    return frozenset(forms)


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield what base64 of any text that contains ``raw`` must contain, standard and URL-safe.

    There are three places in a group of three bytes where ``raw`` can begin. Characters that depend on the text
    before it too are left out, two at offset 1 and three at offset 2; of the end there are three forms: cut before
    the character that depends on what follows, and, when nothing follows, without and with padding.
    """
    for offset, shared in ((0, 0), (1, 2), (2, 3)):
        whole = binascii.b2a_base64(b"\0" * offset + raw, newline=False)
        sure = whole[shared : (offset + len(raw)) * 8 // 6]
        for form in (sure, whole[shared:].rstrip(b"="), whole[shared:]):
            yield form
            yield form.translate(_URL_ALPHABET)
    whole = binascii.b2a_base64(raw, newline=False)
    for width in _WRAPS:
        if len(whole) > width:
            yield b"\n".join(whole[start : start + width] for start in range(0, len(whole), width))


_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def _url(raw: bytes) -> Iterator[bytes]:
    """Yield ``raw`` percent-encoded in each usual way, with upper and lower case hex."""
    for digits in ("%%%02X", "%%%02x"):
        table = [(digits % byte).encode() for byte in range(256)]
        for safe in _URL_SAFE:
            kept = _UNRESERVED.union(safe)
            form = b"".join(raw[i : i + 1] if byte in kept else table[byte] for i, byte in enumerate(raw))
            yield form
            yield form.replace(table[32], b"+")


def _json(value: str) -> Iterator[bytes]:
    r"""Yield ``value`` as it stands inside a JSON string, and inside JSON within JSON.

    Besides ``json.dumps``: ``\/`` as PHP writes it, ``\u003c`` for ``<`` as Go does, upper case hex.
    """
    for plain in _json_once(value):
        for twice in (plain, *_json_once(plain)):
            yield twice.encode("utf-8", "surrogateescape")


def _json_once(value: str) -> set[str]:
    from json import dumps

    forms = {dumps(value, ensure_ascii=flag)[1:-1] for flag in (True, False)}
    forms |= {form.replace("/", "\\/") for form in forms}
    forms |= {
        form.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("'", "\\u0027")
        for form in forms
    } | {form.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026") for form in forms}
    return forms | {_UNICODE_ESCAPE.sub(lambda match: "\\u" + match[1].upper(), form) for form in forms}


_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


def _shell(raw: bytes) -> Iterator[bytes]:
    """Yield the inside of ``raw`` quoted for a shell: ``shlex.quote``, bash's own quotes, ``$'…'``, backslashes."""
    yield raw.replace(b"'", b"'\"'\"'")
    yield raw.replace(b"'", b"'\\''")
    yield b"".join(b"\\" + raw[i : i + 1] if byte in b'$`"\\' else raw[i : i + 1] for i, byte in enumerate(raw))
    yield b"".join(b"\\" + raw[i : i + 1] if byte in b'$`"\\!' else raw[i : i + 1] for i, byte in enumerate(raw))
    yield b"".join(b"\\" + raw[i : i + 1] if byte in _BASH_SPECIAL else raw[i : i + 1] for i, byte in enumerate(raw))
    yield b"".join(
        raw[i : i + 1] if byte >= 128 or byte in _UNRESERVED else b"\\" + raw[i : i + 1] for i, byte in enumerate(raw)
    )
    for above in (b"\\%03o", b"\\x%02x", b"\\x%02X", b""):
        yield b"".join(_ansi_c(byte, above) for byte in raw)


def _ansi_c(byte: int, other: bytes) -> bytes:
    """Return a byte as it stands inside ``$'…'``; ``other`` is the form of unprintable bytes, or b"" for itself."""
    if byte in _BASH_NAMED:
        return _BASH_NAMED[byte]
    if byte in b"'\\":
        return b"\\" + bytes((byte,))
    if 32 <= byte < 127 or not other:
        return bytes((byte,))
    return other % byte


def _markup(raw: bytes) -> Iterator[bytes]:
    """Yield ``raw`` as text of XML and HTML, as test reports hold it."""
    text = raw.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    yield text
    quoted = text.replace(b'"', b"&quot;")
    yield quoted
    for apostrophe in (b"&apos;", b"&#39;", b"&#x27;"):
        yield quoted.replace(b"'", apostrophe)


def _python(value: str | bytes) -> bytes:
    """Return the inside of ``repr(value)``, as assertion messages show it."""
    shown = repr(value)[2:-1] if isinstance(value, bytes) else repr(value)[1:-1]
    return shown.encode("utf-8", "surrogateescape")
