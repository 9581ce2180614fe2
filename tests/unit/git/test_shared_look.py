"""What one git says of many folders is, for each of them, what a git of its own would say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.git.porcelain import STATUS_AND_IGNORED, Status, parse_status, prefix_of
from orchestrator.git.process import GitAnswer
from orchestrator.git.settings import TreeSettings
from orchestrator.git.shared_look import VALID_SECONDS, SharedLook, Stated
from orchestrator.git.work_tree import WorkTree

ALONE = GitAnswer(0, b"of this folder alone", b"")
NAMES = ("p", "p1", "p10", "p1 x", "p1-", "p1.d", "p10\n", "é", "0", "src")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
HEAD = b"# branch.oid 0123\0# branch.head main\0"
BEFORE = {
    "1": "1 .M N... 100644 100644 100644 {0} {0} ",
    "s": "1 .M SCMU 160000 160000 160000 {0} {0} ",
    "u": "u UU N... 100644 100644 100644 100644 {0} {0} {0} ",
    "?": "? ",
    "!": "! ",
}
"""What stands before the path in each kind of record (git-status(1), porcelain format version 2)."""
RECORDS = st.lists(
    st.tuples(st.sampled_from(sorted(BEFORE)), PATHS, st.booleans()).map(
        lambda drawn: (
            BEFORE[drawn[0]].format("a" * 40) + drawn[1] + ("/" if drawn[2] and drawn[0] in "?!" else "")
        ).encode()
    ),
    max_size=12,
)


class Tree:
    """A working tree at ``/w`` whose gits answer at once; ``asked`` are the paths of those for many folders."""

    top = "/w"
    settings = TreeSettings()

    def __init__(self, answer: GitAnswer | None) -> None:
        self._answer = answer
        self.asked: list[Sequence[str]] = []

    def pathspecs(self, folders: Sequence[str]) -> list[str]:
        """Return the folders themselves."""
        return list(folders)

    def start(self, command: Sequence[str], folder: str) -> Stated:
        """Return the git of one folder."""
        assert command == STATUS_AND_IGNORED
        return Stated(ALONE)

    def start_on(self, command: Sequence[str], paths: Sequence[str]) -> Any:
        """Return the git of all folders; one without an answer takes too long."""
        assert command == STATUS_AND_IGNORED
        self.asked.append(paths)
        return Stated(self._answer) if self._answer is not None else self

    def answer(self, timeout_seconds: float) -> GitAnswer:
        """Take longer than allowed."""
        raise TimeoutError


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Return the seconds that have passed."""
        return self.now


def said(shared: SharedLook, work: Any, folder: str) -> GitAnswer:
    """Return what is known of a folder, or what its own git says."""
    answer: GitAnswer = shared.status(work, folder, 5.0).answer(5.0)
    return answer


def below(whole: Status, prefix: bytes) -> Status:
    """Return what a status says of the paths with a prefix."""
    changes = {path: change for path, change in whole.changes.items() if path.startswith(prefix)}
    return whole._replace(changes=changes, ignored=tuple(p for p in whole.ignored if p.startswith(prefix)))


def comparable(status: Status) -> Status:
    """Return a status whose ignored paths are in order."""
    return status._replace(ignored=tuple(sorted(status.ignored)))


@given(RECORDS, st.lists(PATHS, min_size=1, max_size=3, unique=True), st.booleans())
def test_what_is_known_of_a_folder_is_what_the_whole_says_below_it(
    records: list[bytes], folders: list[str], root_too: bool
) -> None:
    """Every record below it and no other one; where a record stands for the folder, or one above, git is asked."""
    data = HEAD + b"".join(record + b"\0" for record in records)
    whole = parse_status(data)
    named = [path.rstrip(b"/") for path in (*whole.changes, *whole.ignored)]
    places = {f"/w/{folder}": f"{folder}/".encode() for folder in folders} | ({"/w": b""} if root_too else {})
    shared, work = SharedLook([*places, "/w/elsewhere"], Clock()), Tree(GitAnswer(0, data, b""))
    for place, prefix in places.items():
        answer = said(shared, work, place)
        above = [prefix[:at] for at in range(len(prefix)) if prefix[at : at + 1] == b"/"]
        if any(path in above for path in named):
            assert answer == ALONE
        else:
            assert (answer.code, answer.complaint) == (0, b"")
            assert comparable(parse_status(answer.output)) == comparable(below(whole, prefix))
    assert len(work.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        GitAnswer(128, b"", b"fatal: no repository"),
        GitAnswer(-9, HEAD, b""),
        GitAnswer(0, HEAD + b"2 R. N... a path\0from\0", b""),
        GitAnswer(0, HEAD + b"1 .M N... cut", b""),
        None,
    ],
)
def test_an_answer_that_is_none_is_no_folders(answer: GitAnswer | None) -> None:
    """A git that fails, is killed, says what is not understood or takes too long: each folder's own is asked."""
    assert said(SharedLook(["/w/a", "/w/b"], Clock()), Tree(answer), "/w/a") == ALONE


@pytest.mark.parametrize("error", [TimeoutError(), OSError(7, "Argument list too long")])
def test_what_takes_too_long_is_asked_for_once(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the time is left for the folder's own git then, and no later folder waits again."""
    waited: list[float] = []

    class Slow:
        def answer(self, timeout_seconds: float) -> GitAnswer:
            waited.append(timeout_seconds)
            raise error

    work = Tree(None)
    monkeypatch.setattr(work, "start_on", lambda *_: Slow())
    shared = SharedLook(["/w/a", "/w/b"], Clock())
    assert [said(shared, work, folder) for folder in ("/w/a", "/w/b")] == [ALONE, ALONE]
    assert waited == [2.5]


def test_an_answer_stands_for_a_while_and_not_beyond_a_change() -> None:
    """One git is enough for what is asked at once, another one is asked after a second or a change."""
    clock, work = Clock(), Tree(GitAnswer(0, HEAD, b""))
    shared = SharedLook(["/w/a", "/w/b"], clock)
    for folder in ("/w/a", "/w/b", "/w/a"):
        assert said(shared, work, folder).output == HEAD
    assert work.asked == [["/w/a", "/w/b"]]
    clock.now += VALID_SECONDS + 0.1
    said(shared, work, "/w/a")
    assert len(work.asked) == 2
    shared.not_before = clock.now
    said(shared, work, "/w/a")
    assert len(work.asked) == 2
    clock.now += 0.1
    shared.not_before = clock.now
    said(shared, work, "/w/a")
    said(shared, work, "/w/b")
    assert len(work.asked) == 3


def test_tree_and_account_are_looked_up_once_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each working tree, and for what lies in none; anew after a second or a change."""
    for name in ("a", "b", ".git/HEAD", ".git/objects", ".git/refs"):
        (tmp_path / "top" / name).mkdir(parents=True)
    looked: list[str] = []

    def at(top: str, environ: dict[str, str]) -> WorkTree:
        looked.append(top)
        return WorkTree(top, environ)

    monkeypatch.setattr(WorkTree, "at", at)
    clock = Clock()
    shared = SharedLook([], clock)
    top = str(tmp_path.resolve() / "top")

    def look() -> list[dict[str, Any]]:
        trees = [shared.work_tree(str(tmp_path / folder), {}) for folder in ("top/a", "top/b", ".")]
        assert [tree and tree.top for tree in trees] == [top, top, None]
        return [shared.account(tree, lambda: {"number": len(looked)}) for tree in trees]

    for passed, count in ((0.0, 1), (0.0, 1), (VALID_SECONDS + 0.1, 2)):
        clock.now += passed
        assert look() == [{"number": count}] * 3
        assert shared.tools() == shared.tools()
        assert looked == [top] * count
    clock.now += 0.1
    shared.not_before = clock.now
    assert look() == [{"number": 3}] * 3


def test_other_folders_and_a_single_one_are_asked_for_alone() -> None:
    """What is no folder of the fleet is not known; of one folder there is nothing to share."""
    work = Tree(GitAnswer(0, HEAD, b""))
    assert said(SharedLook(["/w/a", "/w/b"], Clock()), work, "/w/c") == ALONE
    assert said(SharedLook(["/w/a"], Clock()), work, "/w/a") == ALONE
    assert work.asked == []


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on PATH")
def test_real_answers_are_those_of_each_folder(tmp_path: Path) -> None:
    """Of a tree with all that git tells of: told of each folder is what a git of its own says."""
    top = tmp_path.resolve() / "top"
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        subprocess.run(["git", "-C", top, *who, *words], check=True, env=environ, capture_output=True)

    def write(*names: str) -> None:
        for name in names:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(name)

    folders = ("p", "p/in", "p1", "p10", "p1 x", "p\n1", "ignored", "mixed", "repo", "clean", "new", "gone", ".")
    write(".gitignore", "clean/a")
    for folder in folders[:-1]:
        write(*(f"{folder}/{name}" for name in ("tracked", "a b", "changed", "removed", "sub/deep")))
    git("init", "-q", "-b", "main")
    shutil.rmtree(top / "new")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    (top / ".gitignore").write_text("/ignored/\n*.log\nbuild/\n")
    for folder in ("p", "p/in", "p1", "p10", "p1 x", "p\n1", "mixed"):
        write(f"{folder}/changed", f"{folder}/un tracked\n", f"{folder}/x.log", f"{folder}/build/out")
        (top / folder / "changed").write_text("another")
        (top / folder / "removed").unlink()
    git("rm", "-q", "-r", "--cached", "ignored", "mixed/sub")
    git("-C", str(top / "repo"), "init", "-q")
    write("new/file", "new/build/out", "repo/inner/.git/HEAD")
    shutil.rmtree(top / "gone")
    (top / "gone").mkdir()
    (top / "link").symlink_to("p1")
    places = [os.path.normpath(top / folder) for folder in (*folders, "link")]
    shared = SharedLook(places)
    told = 0
    for place in places:
        work = WorkTree.around(place, environ)
        assert work is not None
        answer = shared.status(work, place, 20.0)
        told += isinstance(answer, Stated)
        alone = work.start(STATUS_AND_IGNORED, place).answer(20.0)
        # git lists what it ignores below siblings with the same beginning too, which nobody takes for this folder's
        expected = below(parse_status(alone.output), prefix_of(work.top, place))
        assert comparable(parse_status(answer.answer(20.0).output)) == comparable(expected), place
    assert told >= len(folders) - 3
