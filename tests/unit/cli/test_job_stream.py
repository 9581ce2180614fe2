"""Text in a job's log: whole lines give no command, however they come."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.json_values import json_text, shown_json
from orchestrator.base.text.workflow_commands import made_harmless
from orchestrator.cli.job_stream import JobStream, in_job

LINES = st.lists(
    st.sampled_from(["::set-env name=A::b", "  ::x::", "a ##[b]", "##", "[c]", ":", "::", "\u2003::y::", "plain", ""]),
    max_size=6,
).map("".join)


def written(*pieces: str) -> str:
    """Return what a log gets of text that comes in pieces."""
    raw = io.StringIO()
    stream = JobStream(raw)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
        stream.flush()
    stream.finish()
    return raw.getvalue()


@given(st.lists(LINES, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 7))
def test_lines_are_harmless_however_they_come(lines: list[str], end: str, size: int) -> None:
    """Each line is what it would be alone, and nothing is lost."""
    text = "".join(f"{line}{end}" for line in lines) + "::last::"
    expected = "".join(f"{made_harmless(line)}{end}" for line in lines) + "| ::last::"
    assert written(*(text[at : at + size] for at in range(0, len(text), size))) == expected


def test_a_line_without_an_end_is_withheld_up_to_a_bound() -> None:
    """Of a long line no more than its last characters are kept, and no command begins where it was cut."""
    for at in range(-10, 3):
        text = "x" * (64 * 1024 + at) + "##[add-path]z::a::"
        assert written(text[: 64 * 1024 + 3], text[64 * 1024 + 3 :], "b\n") == text.replace("##[", "# #[") + "b\n"


def test_text_of_programs_and_files_is_as_it_is(tmp_path: Any) -> None:
    """Outside of a job, and in a file, text is as it was; ``raw`` passes it in a job too."""
    stream = io.StringIO()
    assert in_job(stream, {}) is stream
    assert in_job(stream, {"GITHUB_ACTIONS": "true"}) is stream
    with open(tmp_path / "x", "w") as file:
        assert in_job(file, {"GITHUB_ACTIONS": "true"}) is file
    with open("/dev/null", "w") as null:
        wrapped = cast(Any, in_job(null, {"GITHUB_ACTIONS": "true"}))
        assert (wrapped.raw is null, wrapped.fileno(), hasattr(wrapped, "buffer")) == (True, null.fileno(), False)


@pytest.mark.parametrize("text", ["##[a]", "###vso[b]", "a#b", "##"])
def test_json_gives_no_command_and_means_the_same(text: str) -> None:
    """An escape stands where a log would see a command; a single sign stays as it is."""
    import json

    shown = shown_json({text: text})
    assert ("##" in shown, json.loads(shown)) == (False, {text: text})
    assert shown_json({"a": "#b"}) == json_text({"a": "#b"})
