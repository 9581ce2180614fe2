"""Checklists as CommonMark: every form of item, what is none, what an item needs, and what an edit changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.checks.checklists.items import Item, items_of, proof_text, with_proof
from orchestrator.checks.checklists.links import comparable, moved
from orchestrator.checks.checklists.markdown import TooDeepError, structure_of
from orchestrator.checks.checklists.mirrors import Synced, mirror_findings, ticked
from orchestrator.checks.checklists.needs import needs_of
from tests.generated import examples

PATH = "tasks/tasks-1-app.md"
RUN = "2026-11-22T08-43-05-720Z-5087869c"
PROOF = f" — [run {RUN}](evidence/1-app/{RUN}.json), digest `{'0' * 64}`"


def found(text: str, path: str = PATH) -> list[Item]:
    """Return the items of a text."""
    return list(items_of(path, text))


ITEMS = {
    "bullet": "- [x] a\n",
    "star": "* [X] a\n",
    "plus": "+ [x] a\n",
    "numbered": "1. [x] a\n",
    "numbered with a bracket": "1) [x] a\n",
    "any number": "123456789. [x] a\n",
    "two blanks": "-  [x] a\n",
    "four blanks": "-    [x] a\n",
    "tab": "-\t[x] a\n",
    "blanks behind the mark": "- [x]   a\n",
    "tab behind the mark": "- [x]\ta\n",
    "quoted": "> - [x] a\n",
    "quoted twice": "> > * [x] a\n",
    "list in a list's line": "- - [x] a\n",
    "nested": "- b\n  - [x] a\n",
    "nested in numbers": "1. b\n\n   - [x] a\n",
    "byte order mark": "\ufeff- [x] a\n",
    "CRLF": "# T\r\n\r\n- [x] a\r\n",
    "CR": "# T\r\r- [x] a\r",
    "no end": "- [x] a",
    "text on the next line": "-\n  [x] a\n",
    "behind an indented fence": "text\n\n    ```\n- [x] a\n",
    "behind inline code of three": "```code``` is inline\n\n- [x] a\n",
    "behind a fence in a comment": "<!--\n```\n-->\n\n- [x] a\n",
    "behind a fence with a tilde in its info": "~~~~ x ~~~~\n~~~~\n- [x] a\n",
    "behind a longer fence": "````\n```\n````\n- [x] a\n",
    "behind a fence that an info string doesn't close": "```\n``` x\n```\n- [x] a\n",
    "behind a form feed": "a\x0cb\n\n- [x] a\n",
    "twelve levels deep": "- " * 12 + "[x] a\n",
    "in a footnote": "b[^1]\n\n[^1]: c\n\n    - [x] a\n",
    "a footnote's first line": "b[^1]\n\n[^1]: - [x] a\n",
    "underlined": "- [x] a\n  ===\n",
    "a table's head": "- [x] a | b\n  --|--\n",
    "behind a tag below a definition": "[r]: /u\n</b>\n- [x] a\n",
    "behind a tag with a blank that is none of HTML's": "<b>\u00a0\n- [x] a\n",
    "behind a tag's name with such a blank": "<div\u2028x>\n- [x] a\n",
    "behind a quote, a tag and an open comment": "> b\n<b>\n<!--\n\n- [x] a\n",
    "a list below a definition's second line": "1) [r]: /u\nb\n    - [x] a\n",
    "below a bare marker and blanks": "1. \n   \n    - [x] a\n",
}
NO_ITEMS = {
    "fenced": "```\n- [x] a\n```\n",
    "fenced with tildes": "~~~ md\n- [x] a\n~~~\n",
    "in an open fence": "```\n- [x] a\n",
    "indented code": "text\n\n    - [x] a\n",
    "comment": "<!--\n- [x] a\n-->\n",
    "inline code": "`- [x] a`\n",
    "no blank": "- [x]a\n",
    "a link": "- [x](y) a\n",
    "other mark": "- [-] a\n",
    "no list": "[x] a\n",
    "escaped": "- \\[x] a\n",
    "a heading": "- # [x] a\n",
    "below a tag": "<b>\n- [x] a\n",
    "below a tag with text": "b\n\n<a href='x'>\t\n- [x] a\n",
    "code in a footnote": "b[^1]\n\n[^1]: c\n\n        - [x] a\n",
    "a footnote": "b[^1]\n\n[^1]: [x] a\n",
}


@pytest.mark.parametrize("form", ITEMS)
def test_every_form_that_github_shows_is_seen(form: str) -> None:
    """One ticked item, whatever marker, nesting, quote, fence or line end is around it."""
    (item,) = found(ITEMS[form])
    assert item.ticked
    assert item.claim == "a"


@pytest.mark.parametrize("form", NO_ITEMS)
def test_what_github_shows_as_no_box_is_none(form: str) -> None:
    """Code, comments and text that only looks like an item claim nothing."""
    assert found(NO_ITEMS[form]) == []


@pytest.mark.parametrize("text", ["- [x] a | b\n--|--\n", "> - [x] a\n> --|\n", "1. [x] a |\n|-|\nb\n"])
def test_the_head_of_a_table_is_no_list(text: str) -> None:
    """A line that begins a list begins no table, as GitHub reads it, whatever stands below it."""
    assert [item.ticked for item in found(text)] == [True]


def test_a_separator_of_unicode_ends_no_line() -> None:
    """U+0085, U+2028 and form feeds are characters of an item, and lines are counted as editors do."""
    text = "- [ ] one\x0ctwo\x85three\u2028four\n- [ ] b\n"
    first, second = found(text)
    assert (first.line, second.line) == (1, 2)
    assert with_proof(text, first, PROOF) == text.replace("[ ]", "[x]", 1).replace("four", "four" + PROOF)


def test_too_deep_is_refused() -> None:
    """Nesting beyond the limit is an error of that document, not a hidden item."""
    with pytest.raises(TooDeepError):
        structure_of("> " * 500 + "- [x] a\n")


def test_ten_thousand_items_take_no_minute() -> None:
    """The time grows with the number of items, not with its square."""
    count = examples(10_000)
    text = "# T\n\n" + "".join(f"- [ ] **a{number}**: x (needs: diagnostics)\n" for number in range(count))
    begin = time.process_time()
    assert len(found(text)) == count
    assert time.process_time() - begin < 30


LONG = {
    "dots behind a requirement": "need:" + "." * 60_000 + "!x",
    "a list behind a requirement": "need: " + "a, " * 20_000 + "!x",
    "blanks": "a" + "\t" * 60_000 + "x",
    "marks of two classes on one letter": "e" + "\u0301\u0323" * 30_000 + "x",
    "backticks in runs of every length": " ".join("`" * length for length in range(1, 700)),
    "code, and a link behind it": "`a` " * 3_000 + "[a](b)",
    "proofs that are none": " — [run] " * 3_000,
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_line_takes_no_minute(kind: str) -> None:
    """The time grows with the length of an item, not with its square, which would be minutes for most of these."""
    begin = time.process_time()
    (item,) = found(f"- [x] {LONG[kind]}\n")
    assert item.ticked
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("line", ["<b\u00a0c>", "[^1]: - b", "[^1]: [^1]:", "- \n  ", "[a]: /b"])
def test_many_lines_take_no_minute(line: str) -> None:
    """What is read as GitHub reads it costs no look at the whole page for each line."""
    begin = time.process_time()
    assert structure_of(f"{line}\n" * examples(20_000) + "\n- [x] a\n").items
    assert time.process_time() - begin < 30


@pytest.mark.parametrize("text", ["[a](b) " + "[" * 300, "[a](b) " + "[\\]" * 300, "[a](b) " + "[`]`" * 300])
def test_brackets_inside_brackets_are_too_deep(text: str) -> None:
    """The library looks from each bracket for its end: what nothing closes is refused, what is closed is read."""
    with pytest.raises(TooDeepError):
        found(f"- [x] {text}\n")
    assert found("- [x] " + "[a](b) " * 300)


NEAR_MISSES = (
    "(needs:diagnostics)",
    "(Needs: diagnostics)",
    "(NEEDS: diagnostics)",
    "(needs : diagnostics)",
    "[needs: diagnostics]",
    "{needs: diagnostics}",
    "(needs: [diagnostics](x.md))",
    "(needs: diagnostics (all))",
    "(needs diagnostics)",
    "(need: diagnostics)",
    "(neds: diagnostics)",
    "（needs: diagnostics）",
    "(needs：diagnostics)",
    "(needs:\tdiagnostics)",
    "(needs:\u00a0diagnostics)",
    "(needs: )",
    "(needs:)",
    "(needs: ,)",
    "(needs: diagnostics; smoke)",
    "(needs: diagnostics and smoke)",
    "(needs: `diagnostics`)",
    "(needs: **diagnostics**)",
    "(**needs**: diagnostics)",
    "(needs: diagnostics",
    "needs: diagnostics",
    "`(needs: diagnostics)`",
    "(ne\u200beds: diagnostics)",
    "\\(needs: diagnostics\\)",
    "&#40;needs: diagnostics)",
    "(needs = diagnostics)",
    "\n(needs diagnostics)",
    "( needs: diagnostics)",
)


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_looks_like_a_requirement_is_one_or_is_reported(text: str) -> None:
    """No near miss is dropped in silence."""
    needs = needs_of(f"x {text}")
    assert needs.unclear is not None or needs.words == ("diagnostics",)
    assert needs.words in ((), ("diagnostics",)) or needs.unclear is not None


@pytest.mark.parametrize(
    "text",
    [
        "the docs say what a reader needs",
        "it needs no more than a minute (see below)",
        "needed by everybody",
        "the needs of users are met",
        "`x --needs y` works",
        "(needless to say)",
        "what it needs is there: a, b and c",
    ],
)
def test_prose_is_no_requirement(text: str) -> None:
    """The word alone, in a sentence, is not reported."""
    assert needs_of(text) == ((), None)


def test_requirements_are_read() -> None:
    """Each requirement of an item counts once; one that a quoted command says does not."""
    assert needs_of("a (needs: diagnostics/test, approval)") == (("diagnostics/test", "approval"), None)
    assert needs_of("`echo (needs: smoke)` (needs: diagnostics)") == (("diagnostics",), None)
    assert needs_of("(needs: a) and (needs: b, a)") == (("a", "b"), None)


def test_a_requirement_outside_of_the_first_paragraph_is_reported() -> None:
    """What a list item goes on with is looked at too."""
    (item,) = found("- [ ] **a**: x\n\n  (needs: diagnostics)\n")
    assert item.unclear is not None
    (item,) = found("- [ ] **a**: x\n  (needs: diagnostics)\n")
    assert (item.needs, item.unclear) == (("diagnostics",), None)


def test_only_a_proof_is_taken_off_a_claim() -> None:
    """A link whose text begins with 'run' is no proof, so that the requirement behind it stays."""
    (item,) = found("- [ ] it starts — [run book](run.md) was followed (needs: diagnostics)\n")
    assert item.needs == ("diagnostics",)
    for dash in ("—", "–", "-", "--"):
        (item,) = found(f"- [x] a {dash}{PROOF[2:]}\n")
        assert item.claim == "a"
        assert with_proof(f"- [x] a {dash}{PROOF[2:]}\n", item, PROOF).count("[run") == 1


def test_items_of_every_script_have_names_of_their_own() -> None:
    """Texts that share no Latin letter, or their first sixty letters, are not taken for one another."""
    long = "a" * 70
    text = (
        f"- [ ] Проверить сборку\n- [ ] Проверить выпуск\n- [ ] 测试通过\n- [ ] {long} one\n- [ ] {long} two\n- [ ] !\n"
    )
    assert len({item.key for item in found(text)}) == 6
    assert "" not in {item.id for item in found(text)}
    assert list(mirror_findings({PATH: text, "docs/checklists/1-app.md": text, ".agent/task/1-app.md": text})) == []


def test_the_same_text_at_another_place_is_another_item() -> None:
    """Headings and parents tell unnamed items apart; the same place twice is a finding."""
    text = "## A\n\n- [ ] one\n  - [ ] tests pass\n- [ ] two\n  - [ ] tests pass\n\n## B\n\n- [ ] one\n"
    assert len({item.key for item in found(text)}) == 5
    again = [one.code for one in mirror_findings({PATH: "- [ ] a\n- [ ]  a\n"})]
    assert again.count("item-repeated") == 1


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("# Task 1-app\n\n## Task list\n\n- [x] a\n", "1-app"),
        ("# Task `billing`\n\n- [x] a\n", "billing"),
        ("# Task known\n\n- [x] a\n", "known"),
        ("# Task overview\n\n- [x] a\n", None),
        ("# The task is done when\n\n- [x] a\n", None),
        ("# Task 1-app\n\n# Appendix\n\n- [x] a\n", None),
        ("# Task 1-app\n\n## Task 2: more\n\n- [x] a\n", "1-app"),
        ("Task 1-app\n==========\n\n- [x] a\n", "1-app"),
        ("# Task 1-app: title\n\n## Task 2-web\n\n- [x] a\n", "2-web"),
    ],
)
def test_a_heading_names_a_task_by_its_id(text: str, task: str | None) -> None:
    """A word behind 'task' is an id when it is known, numbered or in backticks, as far as its section goes."""
    (item,) = items_of("docs/plan.md", text, {"known"})
    assert item.task == task


@pytest.mark.parametrize(
    "link",
    [
        f"[run](../tasks/evidence/1-app/{RUN}.json)",
        f'[run](../tasks/evidence/1-app/{RUN}.json "a title")',
        f"[run](<../tasks/evidence/1-app/{RUN}.json>)",
        "[run][proof]",
        "[proof]",
    ],
)
def test_links_of_every_form_cite(link: str) -> None:
    """Titles, angle brackets and reference links lead to the evidence too; code does not."""
    text = f"- [x] a {link}\n\n[proof]: ../tasks/evidence/1-app/{RUN}.json\n"
    (item,) = found(text, "docs/plan.md")
    assert [citation.run_id for citation in item.citations] == [RUN]
    (item,) = found(f"- [x] a `{link}`\n", "docs/plan.md")
    assert item.citations == ()


def test_links_turn_and_code_does_not() -> None:
    """A mirror's line leads where the checklist's does; what stands in backticks is text."""
    line = '`call[0](arg)` [a](specs/x.md "t") [b](<y z.md>) [c](https://x.example/y) [d](#e) [f](mailto:a@b.example)'
    turned = moved(PATH, ".agent/task/1-app.md", line)
    assert turned == (
        '`call[0](arg)` [a](../../tasks/specs/x.md "t") [b](<../../tasks/y z.md>)'
        " [c](https://x.example/y) [d](#e) [f](mailto:a@b.example)"
    )
    assert comparable(PATH, line) == comparable(".agent/task/1-app.md", turned)


LINES = st.sampled_from(
    [
        "- [ ] **a**: x",
        "- [x] b",
        "1. [ ] c\td",
        "",
        "text",
        "```",
        "> - [ ] q",
        "  more",
        "- [ ] \x0c\x85z",
        "<!--",
        "-->",
    ]
)
ENDS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), min_size=1, max_size=12), st.booleans(), st.integers(0, 11))
def test_a_tick_changes_no_other_line(parts: list[tuple[str, str]], bom: bool, which: int) -> None:
    """Every byte but those of the item's own lines stays, and the item is found again, ticked, with its proof."""
    text = ("\ufeff" if bom else "") + "".join(line + end for line, end in parts)
    items = found(text)
    if not items:
        return
    item = items[which % len(items)]
    proof = proof_text(PATH, RUN, f"tasks/evidence/1-app/{RUN}.json", "0" * 64, None)
    after = with_proof(text, item, proof)
    before_lines, after_lines = text.split("\n"), after.split("\n")
    own = range(item.line - 1, item.last_line)
    assert [line for index, line in enumerate(before_lines) if index not in own] == [
        line for index, line in enumerate(after_lines) if index not in own
    ]
    again = found(after)[which % len(items)]
    assert again.ticked
    assert [citation.run_id for citation in again.citations] == [RUN]
    assert (again.claim, again.key) == (item.claim, item.key)
    assert with_proof(after, again, proof) == after


@given(st.lists(st.tuples(LINES, ENDS), min_size=1, max_size=10), ENDS)
def test_synced_mirrors_agree_and_the_source_keeps_its_bytes(parts: list[tuple[str, str]], end: str) -> None:
    """After a sync no line differs, and without a proof in a mirror the source is as it was."""
    text = "".join(line + own for line, own in parts)
    texts = {PATH: text, ".agent/task/1-app.md": text.replace("x", "y").replace("\r\n", "\n").replace("\n", end)}
    synced = Synced("1-app", texts)
    if synced.ambiguous:
        return
    after = {change.path: change.after for change in synced.changes}
    assert after[PATH] == text
    assert [one.code for one in mirror_findings(after) if one.code == "mirror-differs"] == []


def test_sync_takes_a_proof_over_and_no_words() -> None:
    """The tick and its proof come from a mirror, and only of the same item in the same words."""
    place = ".agent/task/1-app.md"
    source = "- [ ] **a**: x\r\n- [ ] **b**: y\r\n"
    (item,) = [one for one in found(source, place) if one.id == "a"]
    proof = proof_text(place, RUN, f"tasks/evidence/1-app/{RUN}.json", "0" * 64, None)
    texts = {PATH: source, place: with_proof(source, item, proof)}
    after = {change.path: change.after for change in Synced("1-app", texts).changes}
    assert after[PATH] == f"- [x] **a**: x{PROOF}\r\n- [ ] **b**: y\r\n"
    assert after[place] == texts[place]
    other = {PATH: source.replace("**a**: x", "**a**: more than x"), place: texts[place]}
    assert "[x]" not in {change.path: change.after for change in Synced("1-app", other).changes}[PATH]


def test_a_tick_reaches_the_item_in_each_place() -> None:
    """Places may have the item in another line; one that lacks it is refused by its name."""
    mirror = "docs/checklists/1-app.md"
    texts = {PATH: "- [ ] 构建通过\n- [ ] 测试通过\n", mirror: "- [ ] 测试通过\n- [ ] 构建通过\n"}
    proof = (RUN, f"tasks/evidence/1-app/{RUN}.json", "0" * 64, None)
    after = {change.path: change.after for change in ticked(found(texts[PATH])[1], texts, proof)}
    assert after[PATH].startswith("- [ ] 构建通过\n- [x] 测试通过 — ")
    assert after[mirror].startswith("- [x] 测试通过 — ")
    with pytest.raises(KeyError, match=mirror):
        ticked(found(texts[PATH])[1], {**texts, mirror: "- [ ] 构建通过\n"}, proof)
