"""What the mask takes out of streams, texts and documents, and what it lets through."""

from __future__ import annotations

import base64
import functools
import html
import itertools
import json
import shlex
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.base.redaction import MASK, Redactor
from orchestrator.base.redaction.encodings import encoded
from orchestrator.base.redaction.finder import (
    AdaptiveFinder,
    CannotCompileError,
    CompiledFinder,
    FinderMaker,
    PlainFinder,
)
from orchestrator.base.redaction.masking import MOST_NOISE
from orchestrator.base.redaction.noise import read_past_noise
from orchestrator.base.redaction.shapes import SHAPES, Shape
from tests.generated import examples

FINDERS: list[FinderMaker] = [PlainFinder]
try:
    CompiledFinder((), SHAPES)
    FINDERS.append(CompiledFinder)
except ImportError:  # there is no wheel of hyperscan for this machine
    pass

GITHUB = "ghp_" + "Ab1" * 12
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpM"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n"
    + "MIIEowIBAAKCAQEA7bq9\n" * 40
    + "ab==\n-----END RSA PRIVATE KEY-----"
)
TOKENS = [
    GITHUB,
    "github_pat_" + "a1B2" * 10,
    "glpat-" + "x_Y-1" * 5,
    "AKIA" + "ABCD2345" * 2,
    "xoxb-1234567890-abcDEF",
    "sk-proj-" + "a_B-9" * 8,
    "sk-ant-api03-" + "a_B-9" * 8,
    "sk-" + "a1B2c3D4" * 6,
    "sk_live_" + "a1B2c3D4" * 3,
    "npm_" + "a1B2" * 9,
    "pypi-AgEIcHlwaS5vcmc" + "a-_1" * 12,
    "AIza" + "a-_1B" * 7,
    "hf_" + "aB" * 17,
    JWT,
    PEM,
    PEM.replace("\n", "\\n"),
]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return ``data`` cut at the given places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@functools.cache
def redactor_of(finder: FinderMaker, *secrets: str) -> Redactor:
    """Return a redactor that is built once, as for a run: its tables take longer than most texts here."""
    return Redactor(secrets, finder=finder)


def through(redactor: Redactor, parts: list[bytes]) -> bytes:
    """Return what comes out of a stream when ``parts`` go in."""
    stream = redactor.stream()
    return b"".join([*(stream.feed(part) for part in parts), stream.flush()])


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("hunter22", "hunter22"),
        ("p@ss w/rd+%", quote("p@ss w/rd+%", safe="")),
        ("p@ss w/rd+%", quote("p@ss w/rd+%").lower()),
        ("p@ss w/rd+%", quote_plus("p@ss w/rd+%")),
        ("it's (a) 'quote'!", "it's%20(a)%20'quote'!"),
        ("tab\tand\"quote'", json.dumps("tab\tand\"quote'")[1:-1]),
        ("pässwörd", json.dumps("pässwörd")[1:-1]),
        ("pässwörd", json.dumps("pässwörd")[1:-1].replace("00e4", "00E4").replace("00f6", "00F6")),
        ("a/b/c<d>&e", "a\\/b\\/c<d>&e"),
        ("a/b/c<d>&e", "a/b/c\\u003cd\\u003e\\u0026e"),
        ('say "hello"', json.dumps(json.dumps('say "hello"'))[3:-3]),
        ("it's $HOME!", shlex.quote("it's $HOME!")[1:-1]),
        ("it's $HOME!", "it'\\''s $HOME!"),
        ("it's $HOME!", "it\\'s\\ \\$HOME\\!"),
        ('a"b$c`d\\e', 'a\\"b\\$c\\`d\\\\e'),
        ("line\n\x1b[31mß", "line\\n\\E[31m\\303\\237"),
        ("<secret> & 'co'", html.escape("<secret> & 'co'")),
        ("it's\ta\\secret", repr("it's\ta\\secret")[1:-1]),
        ("bytes\udcff'''x", repr(b"bytes\xff'''x")[2:-1]),
        ("hunter22", b"hunter22".hex()),
        ("hunter22", b"hunter22".hex().upper()),
    ],
)
def test_encodings(secret: str, shown: str) -> None:
    """A secret is masked in the form in which a URL, JSON, a shell, XML, Python or a hex dump shows it."""
    assert through(Redactor([secret]), [f"before {shown} after".encode()]) == b"before *** after"


@pytest.mark.parametrize("secret", ["hunter22", "sixsix", "a?>b~~~ö/+x", "long" * 30])
def test_base64(secret: str) -> None:
    """Of base64, at each of its offsets and in both alphabets, no more than 6 bits on each side of a secret remain."""
    redactor = Redactor([secret])
    around = itertools.product(["", "u", "us", "user:"], ["", "x", "xy", " and more"])
    ways = itertools.product(around, (base64.b64encode, base64.urlsafe_b64encode), (True, False))
    for (before, after), encode, padded in ways:
        text = encode(f"{before}{secret}{after}".encode()).decode()
        text = text if padded else text.rstrip("=")
        shown = redactor.text(f"[{text}]")
        left = "".join(shown[1:-1].split(MASK))
        others = len(before.encode()) * 8 // 6 + len(after.encode()) * 8 // 6
        assert MASK in shown, (before, after, encode, padded)
        assert len(left.rstrip("=")) <= others + 3, (before, after, encode, padded)


@pytest.mark.parametrize("width", [64, 76])
def test_wrapped_base64(width: int) -> None:
    """A long secret is masked in base64 that is broken into lines, as base64(1) and PEM write it."""
    secret = string.ascii_letters * 5
    text = base64.b64encode(secret.encode()).decode()
    lines = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert Redactor([secret]).text(f"<{lines}>") == "<***>"


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:12])
def test_token_shapes(finder: FinderMaker, token: str) -> None:
    """Tokens of well-known shapes are masked though no value is known, whole or in pieces, in any output."""
    filler = b"nothing to see in this line\n" * 20
    data = b"a: " + token.encode() + b"\nb=" + token.encode() + b" end\n" + filler
    for size in (1, 7, 10_000):
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        assert through(redactor_of(finder), parts) == b"a: ***\nb=*** end\n" + filler, size


@pytest.mark.parametrize(
    "text",
    [
        "task-" + "0123456789abcdef" * 2,
        "sk-learn sk-toggleable__label-arrow",
        "npm_config_user_agent npm_lifecycle_event",
        "ghp_short",
        "eyJust a word",
        "found -----BEGIN PRIVATE KEY----- in src/a.py",
        "-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA7bq9MIIEow\n-----END CERTIFICATE-----",
        "-" * 80,
        "0a1b2c3d" * 8,
    ],
)
@pytest.mark.parametrize("finder", FINDERS)
def test_harmless_text(finder: FinderMaker, text: str) -> None:
    """What only resembles a token goes through unchanged, byte by byte and at once."""
    data = text.encode()
    assert through(redactor_of(finder), [bytes((byte,)) for byte in data]) == data
    assert through(redactor_of(finder), [(data + b"\n") * 20]) == (data + b"\n") * 20


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("get https://deploy:s3cr3t@host.example/x now", "get https://deploy:***@host.example/x now"),
        ("p://u:a@b@host ", "p://u:***@host "),
        ("p://:x@h", "p://:***@h"),
        ("'p://u:%41b,c;d@h:80'", "'p://u:***@h:80'"),
        (f"https://{GITHUB}:x-oauth-basic@github.com\n", "https://***:***@github.com\n"),
        (f"https://x:{GITHUB}@github.com\n", "https://x:***@github.com\n"),
        ("p://u:one@h p://u:two@h\n", "p://u:***@h p://u:***@h\n"),
        ("p://u:" + "p" * 256 + "@" + "h" * 255 + " ", "p://u:***@" + "h" * 255 + " "),
    ],
)
def test_passwords_of_urls(finder: FinderMaker, text: str, shown: str) -> None:
    """The password in a URL is masked whoever printed it, wherever the output is cut; user and host stay."""
    redactor = redactor_of(finder)
    data = text.encode() + b"\n" + b"nothing more\n" * 30
    expected = shown.encode() + b"\n" + b"nothing more\n" * 30
    assert redactor.text(text) == shown
    for size in (1, 3, 10, 1000):
        assert through(redactor, [data[at : at + size] for at in range(0, len(data), size)]) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("http://localhost:8080/a@b", "ssh://git@host:22/x", "http://h:80 me@x.org", "http://h:80/", "see ://"),
        *("p://u:$PASSWORD@h/", "p://u:${PW}@h", "p://u:***@h", "p://{user}:{password}@h", 'p://h:1"a@b"'),
    ],
)
def test_urls_without_a_password(text: str) -> None:
    """Ports, placeholders and what stands after the authority are no passwords."""
    assert Redactor([]).text(text) == text


def test_after_a_key() -> None:
    """A private key ends at its END line, and one that is cut off ends where no key data can stand."""
    assert Redactor([]).text(PEM + " then") == "*** then"
    cut = PEM[:200] + "\n[next] line"
    assert Redactor([]).text(cut) == "***[next] line"


def test_overlapping_and_adjacent() -> None:
    """All bytes of needles that overlap are masked; a run of masked bytes becomes one mask."""
    redactor = Redactor(["abcdef", "efghij", "abcdefgh"])
    assert redactor.text("1abcdefghij2") == "1***2"
    assert redactor.text("abcdefabcdef-abcdef") == "***-***"
    assert redactor.text("xabcdefgh") == "x***"


def test_held_back_no_more_than_needed() -> None:
    """A line without the beginning of a secret comes out at once, and of one with it only the beginning waits."""
    stream = Redactor(["hunter22"]).stream()
    assert stream.feed(b"compiling\n") == b"compiling\n"
    assert stream.feed(b"password: hunt") == b"password: "
    assert stream.feed(b"ing\n") == b"hunting\n"
    assert stream.feed(b"password: hunt") == b"password: "
    assert stream.feed(b"er22") == b"***"
    assert stream.feed(b"\nthe end: hunt") == b"\nthe end: "
    assert stream.flush() == b"hunt"


def test_bounded_memory() -> None:
    """However long a token, a key or a chain of overlapping needles goes on, little is held back."""
    for begin, more in ((GITHUB, "a"), (JWT, "b"), (PEM[:300], "MIIE\n"), ("", "ababab"), ("", "eyJ"), ("", "-----")):
        stream = Redactor(["abababab"]).stream()
        stream.feed(begin.encode())
        out = b"".join(stream.feed(more.encode() * 100) for _ in range(40))
        assert len(stream._held) < 1200
        assert len(out) < 10 or "eyJ" in more or "-----" in more


def test_text_keeps_what_it_is_given() -> None:
    """A text without secrets is returned as it is, lone surrogates included."""
    redactor = Redactor(["hunter22"])
    for text in ("", "plain", "raw \udcff byte", "lone \ud800 surrogate"):
        assert redactor.text(text) == text
    assert redactor.text("lone \ud800 hunter22") == "lone \ud800 ***"


def test_documents() -> None:
    """Every string of a document is masked, keys too, no entry is lost, and what is to be kept is kept."""
    redactor = Redactor(["hunter22"])
    document = {"a": ["hunter22", 1, None, True], "hunter22": {"x hunter22": 1.5}, "***": 2, "path": "/hunter22"}
    assert redactor.document(document, keep={"path"}) == {
        "a": ["***", 1, None, True],
        "***": {"x ***": 1.5},
        "*** (2)": 2,
        "path": "/hunter22",
    }


def test_values_that_are_not_masked() -> None:
    """Values of less than 6 bytes, and those of asterisks only, are left alone."""
    assert Redactor(["12345", "", "******"]).text("12345 ******") == "12345 ******"


def test_the_compiled_finder_takes_over() -> None:
    """The output is the same before, while and after the compiled finder takes over."""
    redactor = Redactor(["hunter22"], finder=lambda needles, shapes: AdaptiveFinder(needles, shapes, after=3000))
    line = b"some output with hunter22 in it, of the usual kind\n" * 10
    assert through(redactor, [line] * 20) == line.replace(b"hunter22", b"***") * 20


@pytest.mark.skipif(CompiledFinder not in FINDERS, reason="hyperscan is not installed")
def test_what_cannot_be_compiled_is_found_without() -> None:
    """Where compiling fails the plain finder goes on, and the error shows nothing of what was looked for."""
    broken = Shape((b"heads",), after=b"(?=zz)", begin=b"x", unsure=b"x", after_body=b"x")
    with pytest.raises(CannotCompileError) as caught:
        CompiledFinder((b"hunter22",), (broken,))
    assert str(caught.value) == ""
    assert caught.value.__suppress_context__
    redactor = Redactor(["hunter22"], finder=lambda needles, _: AdaptiveFinder(needles, (broken,), after=0))
    line = b"nothing but hunter22 in this line of output, again and again\n" * 10
    assert through(redactor, [line]) == line.replace(b"hunter22", b"***")


SECRET = st.text(st.sampled_from("abABz019+/ '\"\\%&<$ö\n\t-_."), min_size=6, max_size=14).filter(
    lambda text: len(text.strip()) >= 6
)


@settings(max_examples=examples(60))
@given(
    secrets=st.lists(SECRET, min_size=1, max_size=4),
    data=st.data(),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_split(secrets: list[str], data: st.DataObject, cuts: list[int]) -> None:
    """Wherever the stream is cut and whichever finder is at work, the output is the same and holds no needle."""
    needles = sorted({form for secret in secrets for form in encoded(secret)})
    part = st.one_of(
        st.sampled_from(needles),
        st.sampled_from(needles).map(lambda needle: needle[: len(needle) // 2]),
        st.sampled_from([token[:60].encode() for token in TOKENS] + [PEM.encode(), JWT.encode()]),
        st.sampled_from(
            [
                b"p://u:",
                b"p://a:b@c",
                b"@h",
                b" ",
                b"\n",
                b"x",
                b"-----",
                b"ghp_",
                b"eyJ",
                b"sk-",
                b"A" * 30,
                b"-----END A PRIVATE KEY-----",
            ]
        ),
        st.binary(max_size=5),
    )
    text = b"".join(data.draw(st.lists(part, max_size=12)))
    outputs = {
        through(redactor, parts)
        for redactor in [Redactor(secrets, finder=finder) for finder in FINDERS]
        for parts in ([text], pieces(text, cuts), [text[at : at + 1] for at in range(len(text))])
    }
    assert len(outputs) == 1
    masked = outputs.pop()
    assert not [needle for needle in needles if needle in masked and b"*" not in needle]


@settings(max_examples=examples(50))
@given(
    secrets=st.lists(SECRET, min_size=1, max_size=3), text=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400))
)
def test_other_bytes_pass(secrets: list[str], text: bytes, cuts: list[int]) -> None:
    """Bytes that belong to no secret go through unchanged."""
    needles = {form for secret in secrets for form in encoded(secret)}
    reading = read_past_noise(text, final=True)
    if not any(needle in text or (reading and needle in reading.bare) for needle in needles):
        assert through(Redactor(secrets), pieces(text, cuts)) == text


NOISE = [
    *(b"\x1b[01;31m", b"\x1b[K", b"\x1b[m", b"\x1b]0;title\x07", b"\x1b]8;;x\x1b\\", b"\x1b(B", b"\x1b=", b"\0"),
    *(b"\x7f", b"\x08"),
    *(text.encode() for text in "\u200b\u00ad\ufeff\u202e\u2066\x9b\ufe0f\U000e0041\u2060\u115f"),
]


SECRETS_OF_ALL_SIZES = [
    *("Tr0ub4dor-9x-Zeta", GITHUB, PEM, "sécrèt", "sixsix", "two\nlines of it"),
    "".join(chr(97 + at % 23) + str(at) for at in range(2500))[:10_000],
]


def with_noise(secret: bytes, places: list[tuple[int, bytes]]) -> bytes:
    """Return ``secret`` with noise between its bytes, never inside a character."""
    inside = [at for at in range(1, len(secret)) if secret[at] & 0xC0 != 0x80]
    for index, noise in sorted(places, reverse=True):
        at = inside[index % len(inside)]
        secret = secret[:at] + noise + secret[at:]
    return secret


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("secret", SECRETS_OF_ALL_SIZES, ids=lambda secret: secret[:6])
def test_noise_hides_nothing(finder: FinderMaker, secret: str) -> None:
    """A value or a token with noise between any of its letters is masked, however it is cut; only colours stay."""
    redactor = redactor_of(finder) if secret in (GITHUB, PEM) else redactor_of(finder, secret)
    for noise in NOISE:
        whole = b"a=" + with_noise(secret.encode(), [(at, noise) for at in (0, 3, len(secret) // 2)]) + b" end\n"
        colours = noise * 3 if noise.endswith(b"m") else b""
        expected = b"a=***" + colours + b" end\n"
        sizes = (1, 2, 5) if len(whole) < 300 else (97,) if len(whole) < 3000 else (997,)
        assert redactor.stream().whole(whole) == expected, noise
        for size in sizes:
            parts = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert through(redactor, parts) == expected, (noise, size)


@st.composite
def secrets_in_noise(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """Draw secrets and a text of their forms, tokens and noise, in which noise stands anywhere."""
    secrets = draw(st.lists(SECRET, min_size=1, max_size=3))
    needles = sorted({form for secret in secrets for form in encoded(secret)})
    part = st.one_of(
        st.builds(
            with_noise,
            st.sampled_from([*needles, GITHUB.encode(), JWT.encode()]),
            st.lists(st.tuples(st.integers(0, 40), st.sampled_from(NOISE)), max_size=4),
        ),
        st.sampled_from([*NOISE, b" ", b"\n", b"x", GITHUB.encode(), needles[0][:5], b"\xe2", b"\xf3\xa0"]),
    )
    return secrets, b"".join(draw(st.lists(part, max_size=8)))


INTERRUPTED = (["0" * 12], b"A\x1b]8;;x\x1b[01;31m\x1b\\wMDAwMDAwMDAwM")
"""A link whose address another sequence interrupts, as in a colour inside of it."""


@settings(max_examples=examples(60))
@given(drawn=secrets_in_noise(), cuts=st.lists(st.integers(0, 300), max_size=12))
@example(drawn=INTERRUPTED, cuts=[9])
@example(drawn=INTERRUPTED, cuts=[])
def test_noise_and_any_split(drawn: tuple[list[str], bytes], cuts: list[int]) -> None:
    """Wherever noise stands and the stream is cut, the output is the same and without its noise holds no needle."""
    secrets, text = drawn
    needles = sorted({form for secret in secrets for form in encoded(secret)})
    outputs = {
        through(redactor, parts)
        for redactor in [Redactor(secrets, finder=finder) for finder in FINDERS]
        for parts in ([text], pieces(text, cuts), [text[at : at + 1] for at in range(len(text))])
    }
    assert len(outputs) == 1
    masked = outputs.pop()
    reading = read_past_noise(masked, final=True)
    bare = reading.bare if reading else masked
    assert not [needle for needle in needles if needle in bare and b"*" not in needle]


def test_noise_without_end_is_not_kept() -> None:
    """Inside of a secret that does not go on, 64 KiB of noise are held back at most, and it is masked all the same."""
    stream = Redactor(["hunter22"]).stream()
    out = stream.feed(b"a hunt")
    for _ in range(6):
        out += stream.feed(b"\0" * 20_000)
        assert len(stream._held) < MOST_NOISE + 20_000
    assert out + stream.feed(b"er22 b") + stream.flush() == b"a *** b"


@settings(max_examples=examples(50))
@given(secret=SECRET, before=st.binary(max_size=300), after=st.binary(max_size=300))
def test_one_occurrence(secret: str, before: bytes, after: bytes) -> None:
    """Around one masked secret everything stays as it is."""
    whole = before + secret.encode() + after
    shown = Redactor([secret]).stream().whole(whole)
    head, _, tail = shown.partition(b"***")
    if b"*" not in whole and whole.count(secret.encode()) == 1 and b"***" not in tail:
        assert before.startswith(head)
        assert after.endswith(tail)
