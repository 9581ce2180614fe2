"""What GitHub shows of a run: the summary's Markdown and the annotations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.base.text.workflow_commands import made_harmless, workflow_command
from orchestrator.report.exports.github_annotations import MOST, github_annotations
from orchestrator.report.exports.github_summary import LIMIT, github_summary
from tests.unit.report.exports.runs import NASTY, exported

TEST = {"name": "test_x", "message": "1 != 2, at 50%", "file": "src/a,b:c.py", "line": 7}


def test_failed_stages_come_first() -> None:
    """The last lines of what failed stand above the table, and it is the table's first row."""
    text = github_summary([exported({"a": "success", "b": "failure"}, last_lines={"b": ["boom"]})]).decode()
    assert text.index("**b** failed") < text.index("boom") < text.index("| b |") < text.index("| a |")
    assert "https://ci.example/1" in text


def test_a_fleet_is_counted_first() -> None:
    """How many projects ended how stands above the first failure; another run has no such line."""
    stages = {"a": "success", "b": "failure", "c": "skip", "d": "skip"}
    text = github_summary([exported(stages, project="fleet")]).decode()
    assert text.index("\n1 succeeded, 1 failed, 2 skipped\n") < text.index("**b** failed")
    live = exported(stages, project="fleet").body["commands"]
    waiting = [{**command, "status": "pending", "outcome": None} for command in live]
    assert "\n4 queued\n" in github_summary([exported(stages, project="fleet", commands=waiting)]).decode()
    assert "1 succeeded, " not in github_summary([exported(stages)]).decode()


def test_output_ends_no_fence_and_makes_no_markup() -> None:
    """Output with fences is one block of code; names and reasons are text."""
    run = exported({"a": "failure", "b": "skip"}, last_lines={"a": [NASTY], "b": [NASTY]})
    tokens = MarkdownIt().enable("table").parse(github_summary([run]).decode())
    (fence,) = [token for token in tokens if token.type == "fence"]
    assert "```` <b> &" in fence.content
    inline = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inline if child.type in ("html_inline", "image")]
    assert not [token for token in tokens if token.type == "html_block"]
    assert len([child for child in inline if child.type == "link_open"]) == 1


@given(st.text(st.characters(codec=None), max_size=80))
def test_any_text_stays_text(text: str) -> None:
    """Whatever a reason says, the summary has the same blocks."""

    def blocks(reason: str) -> list[str]:
        run = exported({"a": "skip"}, last_lines={"a": [reason]})
        return [token.type for token in MarkdownIt().enable("table").parse(github_summary([run]).decode())]

    assert blocks(text) == blocks("plain")


def test_thousands_of_failed_stages_fit() -> None:
    """The summary has at most 900 KiB, and says that something is left out."""
    stages = {f"s{number}": "failure" for number in range(2_000)}
    run = exported(stages, last_lines={stage: ["x" * 100] * 5 for stage in stages})
    data = github_summary([run])
    assert len(data) <= LIMIT
    assert "left out" in data.decode()[-200:]
    assert len(github_annotations([run]).splitlines()) == MOST


def test_a_run_without_stages_has_a_summary() -> None:
    """A heading alone, and why; no annotation."""
    run = exported({}, commands=[], status_detail="cancelled")
    assert "cancelled" in github_summary([run]).decode()
    assert github_annotations([run]) == b""


def test_an_annotation_for_a_stage_then_for_each_test() -> None:
    """Stages come first; a failed test names file and line, with what is GitHub's escaped."""
    run = exported({"a": "failure"}, last_lines={"a": ["50% ::x"]})
    run = run._replace(failed=[{**run.failed[0], "tests": [TEST]}])
    assert github_annotations([run]).decode().splitlines() == [
        "::error title=hello.diagnostics%3A a failed::exit 3%0A50%25 ::x",
        "::error file=src/a%2Cb%3Ac.py,line=7,title=test_x::1 != 2, at 50%25",
    ]


@given(st.text(st.characters(codec=None), max_size=60))
def test_an_annotation_is_one_line(text: str) -> None:
    """Whatever a stage printed, its annotation is one command on one line."""
    data = github_annotations([exported({"a": "failure"}, last_lines={"a": [text]})])
    assert data.count(b"\n") == 1
    assert b"\r" not in data
    assert data.startswith(b"::error title=")


def test_a_sub_pipeline_is_not_reported_twice() -> None:
    """Where the child run is exported too, its own stage has the annotation."""
    child = exported({"go": "failure"}, number=2, parent="x")
    parent = exported({"sub": "failure"})
    cause = {"run_id": child.body["run_id"], "line": "go failed (exit 3)", "last_lines": []}
    parent = parent._replace(failed=[{**parent.failed[0], "cause": cause}])
    assert github_annotations([parent, child]).decode().count("::error") == 1
    assert "go failed" in github_annotations([parent]).decode()


@given(st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: text.replace("\n", "")))
def test_a_harmless_line_gives_no_command(text: str) -> None:
    """A line is no command after white space at its start, nor anywhere in the old form; twice changes nothing more."""
    for line in (text, f" \t::{text}", f"##[{text}", f"a ##vso[{text}"):
        made = made_harmless(line)
        assert not made.strip().startswith("::")
        assert "##[" not in made
        assert "##vso[" not in made
        assert made_harmless(made) == made


def test_a_commands_own_characters_are_escaped() -> None:
    """Message and properties hold per cent, line ends, colons and commas as the toolkit writes them."""
    assert workflow_command("error", "a%\r\nb", file="x,y:z") == "::error file=x%2Cy%3Az::a%25%0D%0Ab"
