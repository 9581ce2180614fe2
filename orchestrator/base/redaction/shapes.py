"""Tokens that are recognised by their shape, though nobody named their value.

Sources: the documentation of each issuer, and the rules of gitleaks. Only shapes with a prefix of their
own are here: what merely looks random (hashes, digests) is what logs are full of.
"""

from __future__ import annotations

import re

from orchestrator.base.record import Record

_WORD = b"A-Za-z0-9"
_URL_WORD = b"A-Za-z0-9_-"
_SEARCHED = 8
"""As many characters after a head are enough to leave the search's fast part."""


class Shape(Record):
    """How a token looks: patterns over bytes, for ``re``, each compiled when it is first needed.

    ``heads``: the literals that it begins with. ``after``: what follows a head, short and simple, as the
    search's fast part takes it (``$``: the end of what has come so far). ``begin`` matches from a head as
    far as it takes to be sure. ``unsure`` matches, up to the end of what has come so far, all that could
    still become ``begin``. ``after_body`` finds the first byte after the rest. Of a token that has an end,
    ``end`` matches it there, and ``unsure_end`` what could still become one. ``apart``: no letter, digit or _
    stands before it. ``whole``: of a token that is only part of what is recognised, ``begin`` matches all up to what
    stands behind it, and group 1 is what is masked; it has no body.

    No pattern repeats a group possessively: Python 3.11.2 (Debian 12) goes on at the wrong place after one.
    """

    heads: tuple[bytes, ...]
    after: bytes
    begin: bytes
    unsure: bytes
    after_body: bytes
    end: bytes = b""
    unsure_end: bytes = b""
    apart: bool = False
    whole: bool = False


def _run(heads: tuple[bytes, ...], chars: bytes, least: int, *, apart: bool = False) -> Shape:
    """Return the shape of a head and at least ``least`` of ``chars``."""
    head = b"(?:" + b"|".join(re.escape(head) for head in heads) + b")"
    return Shape(
        heads,
        after=_at_least(chars, min(least, _SEARCHED)),
        begin=b"%s[%s]{%d}" % (head, chars, least),
        unsure=b"%s[%s]{0,%d}" % (head, chars, least - 1),
        after_body=b"[^%s]" % chars,
        apart=apart,
    )


def _at_least(chars: bytes, least: int) -> bytes:
    return b"(?:[%s]{%d}|[%s]{0,%d}$)" % (chars, least, chars, least - 1)


_SLACK = Shape(
    (b"xox",),
    after=rb"[abeoprs]?(?:[.-]|$)",
    begin=rb"xox[abeoprs][.-][A-Za-z0-9_.-]{10}",
    unsure=rb"xox[abeoprs]?|xox[abeoprs][.-][A-Za-z0-9_.-]{0,9}",
    after_body=rb"[^A-Za-z0-9_.-]",
)

_MODEL_KINDS = rb"(?:proj|svcacct|admin|ant|or)-"
_MODEL_KEY = Shape(
    (b"sk-",),
    after=rb"(?:%s|[a-z]{0,7}$)" % _MODEL_KINDS,
    begin=rb"sk-%s[A-Za-z0-9_-]{20}" % _MODEL_KINDS,
    unsure=rb"sk-(?:[a-z]{0,7}|%s[A-Za-z0-9_-]{0,19})" % _MODEL_KINDS,
    after_body=rb"[^A-Za-z0-9_-]",
)

_JSON_WEB_TOKEN = Shape(
    (b"eyJ",),
    after=_at_least(_URL_WORD, _SEARCHED),
    begin=rb"eyJ[A-Za-z0-9_-]{13,1024}\.[A-Za-z0-9_-]{16}",
    unsure=rb"eyJ[A-Za-z0-9_-]{0,1024}|eyJ[A-Za-z0-9_-]{13,1024}\.[A-Za-z0-9_-]{0,15}",
    after_body=rb"[^A-Za-z0-9_.-]",
)
"""RFC 7519: base64url of ``{"…``, a dot, and the payload. A header of more than a KiB is not recognised."""

_BREAK = rb"(?:\s|\\{1,2}[nr])"
_BREAK_BEGUN = rb"(?:\s|\\{1,2}[nr]?)"
_KEY_WORDS = rb"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?"
_AFTER_KEY_BODY = rb"[^A-Za-z0-9+/=\s\\:,.()@<>](?:(?<!-)|(?<=-)(?:-{4}|-{0,3}\Z))"
"""What can't stand in a key, or five dashes; dashes at the end of what has come may become five."""

_PRIVATE_KEY = Shape(
    (b"-----BEGIN ",),
    after=b"",
    begin=rb"-----BEGIN %s-----%s{1,16}(?:[A-Za-z0-9+/=]{16}|[A-Z][A-Za-z-]{3,11}:)" % (_KEY_WORDS, _BREAK),
    unsure=rb"-----BEGIN (?:[A-Z0-9 ]{0,60}|%s(?:-{1,4}|-----%s{0,16}[A-Za-z0-9+/=-]{0,15}))"
    % (_KEY_WORDS, _BREAK_BEGUN),
    after_body=_AFTER_KEY_BODY,
    end=rb"-----END [A-Z0-9 ]{0,60}-----",
    unsure_end=rb"-{1,5}|-----E|-----EN|-----END|-----END [A-Z0-9 ]{0,60}-{0,4}",
)
"""A block that is only named (``-----BEGIN PRIVATE KEY-----`` in a linter's message) is no key: key data or
a header such as ``Proc-Type:`` must follow. Line breaks may be written as ``\\n``, as in service account files."""

_URL_END = rb"\x00-\x20\x7f/?#\"'<>`\\"
_HOST = rb"[^%s@]{0,255}" % _URL_END
_PLACEHOLDER = rb"(?:\*+|\$\{?[A-Za-z_]\w*\}?|\{\w*\}|%%\(\w+\)s)@%s(?:[%s]|\Z)" % (_HOST, _URL_END)
_URL_PASSWORD = Shape(
    (b"://",),
    after=b"",
    begin=rb"://[^%s:@]{0,128}:(?!%s)([^%s]{1,256})@(?=%s(?:[%s]|\Z))"
    % (_URL_END, _PLACEHOLDER, _URL_END, _HOST, _URL_END),
    unsure=rb"://[^%s:@]{0,128}(?::(?:[^%s]{0,256}(?:@%s)?)?)?" % (_URL_END, _URL_END, _HOST),
    after_body=b"",
    whole=True,
)
"""RFC 3986, userinfo: between the first colon and the last @ of the authority. A placeholder (``$NAME``, ``${NAME}``,
``{name}``, ``***``) is no password."""

SHAPES = (
    _run((b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), _WORD + b"_", 36),
    _run((b"github_pat_",), _WORD + b"_", 22),
    _run((b"glpat-", b"gldt-", b"glrt-", b"glptt-"), b"." + _URL_WORD, 20),
    _run((b"AKIA", b"ASIA"), b"A-Z0-9", 16),
    _SLACK,
    _MODEL_KEY,
    _run((b"sk-",), _WORD, 32, apart=True),
    _run((b"sk_live_", b"sk_test_", b"rk_live_", b"rk_test_"), _WORD, 16),
    _run((b"npm_",), _WORD, 36),
    _run((b"pypi-AgE",), _URL_WORD, 50),
    _run((b"AIza",), _URL_WORD, 35),
    _run((b"hf_",), b"A-Za-z", 34),
    _JSON_WEB_TOKEN,
    _PRIVATE_KEY,
    _URL_PASSWORD,
)
"""GitHub, GitLab, AWS, Slack, OpenAI and Anthropic, Stripe, npm, PyPI, Google, Hugging Face, JWT, PEM and PGP, URLs."""
