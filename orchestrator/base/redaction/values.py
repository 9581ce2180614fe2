"""Which values are masked: of configured names, of names that look secret, and passwords inside URLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.base.redaction.names import looks_secret

MIN_BYTES = 6
"""Shorter values are not masked (contract, section 5): masking ``1`` or ``test`` would riddle every log."""

_URL_USERINFO = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@]*:([^\s/?#]*)@"
"""RFC 3986, userinfo: what stands between the first colon and the last @ of the authority."""


def secret_values(env: Mapping[str, str], named: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the values of ``env`` to mask, longest first.

    These are the values of the ``named`` variables, of variables whose name looks secret, and the password of
    every URL in any variable. ``named`` may hold patterns (``DEPLOY_*``). Of a value of several lines each line
    is masked too. Values, and lines, of less than ``MIN_BYTES`` bytes are left out.
    """
    found = {piece for value in _secrets(env, named) for piece in _pieces(value)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _secrets(env: Mapping[str, str], named: Iterable[str]) -> Iterator[str]:
    """Yield the value of each variable that is a secret or holds one."""
    patterns = tuple(named)
    for name, value in env.items():
        if looks_secret(name) or any(_named(name, pattern) for pattern in patterns):
            yield value
        if "://" not in value:
            continue
        import re

        for match in re.finditer(_URL_USERINFO, value):
            yield match[1]
            if "%" in match[1]:
                yield _unquote(match[1])


def _named(name: str, pattern: str) -> bool:
    """Tell whether ``pattern``, a name or a shell pattern, means ``name``."""
    if "*" not in pattern and "?" not in pattern:
        return name == pattern
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


def _unquote(value: str) -> str:
    """Return a percent-encoded password as the server sees it."""
    from urllib.parse import unquote

    return unquote(value, errors="surrogateescape")


def _pieces(value: str) -> Iterator[str]:
    """Yield the value without the white space around it, and its lines when it has several.

    A line without a letter or digit (``}``, ``------``) is no secret, and stands in every log.
    """
    whole = value.strip()
    if _long_enough(whole):
        yield whole
    elif _long_enough(value) and whole:
        yield value
    lines = [line.strip() for line in whole.splitlines()]
    for line in lines if len(lines) > 1 else ():
        if _long_enough(line) and any(ch.isalnum() for ch in line):
            yield line


def _long_enough(value: str) -> bool:
    return len(value.encode("utf-8", "surrogateescape")) >= MIN_BYTES
