"""A snapshot on a worker is the submitter's workspace, and the submitter's repository gets nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord, StorageError, UsageError
from orchestrator.cloud.snapshot import Snapshot, is_clean, pack_snapshot
from orchestrator.cloud.snapshot_survey import Survey, SurveyQuery
from orchestrator.cloud.unpack import open_folders, unpack_snapshot
from orchestrator.git import Capture
from tests.cloud.repositories import ENVIRON, everything, git, on_disk, repository, write

_FIRST: dict[str, str | bytes] = {"a.py": "a = 1\n", "src/b.py": "b = 2\n", ".gitignore": "generated/\n*.log\n"}


def surveyed(root: Path, *needed: Path, include: Iterable[str] = ()) -> Survey:
    """Return what travels of a workspace."""
    return SurveyQuery.begin(str(root), ENVIRON, tuple(include)).answer([str(path) for path in needed])


def _send(
    root: Path, there: Path, *, include: Iterable[str] = (), needed: Iterable[Path] = (), bases: Iterable[str] = ()
) -> tuple[Snapshot, str]:
    place = there.with_name(there.name + ".snapshot")
    place.parent.mkdir(parents=True, exist_ok=True)
    found = surveyed(root, *needed, include=include)
    snapshot = pack_snapshot(found, str(place), ENVIRON, bases)
    return snapshot, unpack_snapshot(snapshot.as_json(), str(place), str(there), ENVIRON)


def _state(root: Path | str) -> dict[str, Any]:
    return Capture.begin(str(root), str(root), ENVIRON).finish_tree()


def test_a_dirty_tree_arrives_as_it_is(tmp_path: Path) -> None:
    """Modified, staged, binary, linked, executable, removed and untracked files: bytes, digest and status are equal."""
    root = repository(tmp_path / "here", {**_FIRST, "gone.py": "", "moved.py": "x", "dir/x": "", "link": "was a file"})
    write(root, {"a.py": "a = 2\n", "staged.py": "s", "blob.bin": bytes(range(256)) * 9, "noise.log": "ignored"})
    git(root, "add", "staged.py")
    write(root, {"staged.py": "s2"})
    (root / "gone.py").unlink()
    git(root, "rm", "-q", "--cached", "moved.py")
    (root / "link").unlink()
    (root / "link").symlink_to("src/b.py")
    (root / "src" / "b.py").chmod(0o755)
    (root / "dir" / "x").unlink()
    (root / "dir").rmdir()
    write(root, {"dir": "a file in a folder's place"})
    before = everything(root)
    snapshot, there = _send(root, tmp_path / "there")
    assert everything(root) == before
    assert on_disk(Path(there)) == {name: entry for name, entry in on_disk(root).items() if name != b"noise.log"}
    assert _state(there) == _state(root)
    status = ("status", "--porcelain=v2", "--branch", "-z")
    assert git(Path(there), *status) == git(root, *status)
    assert snapshot.commit == git(root, "rev-parse", "HEAD").decode().strip()
    assert git(Path(there), "fsck", "--full", "--no-dangling") == b""


def test_a_clean_tree_is_clean_there(tmp_path: Path) -> None:
    """Nothing differs from the commit there, and the history has all commits and their branches."""
    root = repository(tmp_path / "here", _FIRST)
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(root, "branch", "other")
    git(root, "tag", "-a", "v1", "-m", "one")
    write(root, {"a.py": "a = 3\n"})
    git(root, "commit", "-qam", "second")
    _, there = _send(root, tmp_path / "there")
    assert _state(there) == _state(root)
    assert _state(there)["dirty"] is False
    assert is_clean(str(tmp_path / "there.snapshot"))
    for words in (("for-each-ref",), ("log", "--all", "--format=%H %s"), ("symbolic-ref", "HEAD"), ("describe",)):
        assert git(Path(there), *words) == git(root, *words)


def test_names_that_are_hostile_arrive(tmp_path: Path) -> None:
    """Names with line ends, quotes, dashes, bytes that are no text, and names that only other systems misread."""
    root = repository(tmp_path / 'he"re\n:x', _FIRST)
    names = [b"-rf", b"a\nb", b'"q"', b"\xff\xfe", b" ", b"git~1", b"\\x", b"*", b":(top)x", b"d\xc3\xa9", b"x\ty/-z"]
    for name in names:
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(name)
    git(root, "-c", "core.protectNTFS=false", "add", "--", ":(literal)-rf", ":(literal)a\nb", ":(literal)git~1")
    _, there = _send(root, tmp_path / "there")
    assert on_disk(Path(there)) == on_disk(root)
    assert _state(there) == _state(root)


def test_an_earlier_run_leaves_nothing_but_environments(tmp_path: Path) -> None:
    """Files, hooks, settings, objects and a whole repository that a stage left are gone; ``.nox`` is there."""
    root = repository(tmp_path / "here", _FIRST)
    there = tmp_path / "there"
    _send(root, there)
    write(
        there, {"left.py": "", "generated/x": "", ".nox/env/bin/tool": "tool", "deep/.git/HEAD": "ref: x", "a.py": "!"}
    )
    write(there, {".git/hooks/post-checkout": "#!/bin/sh\ntouch ran\n", ".git/objects/info/alternates": "/tmp\n"})
    (there / ".git" / "hooks" / "post-checkout").chmod(0o755)
    git(there, "config", "core.fsmonitor", "touch ran")
    closed = there / "closed"
    closed.mkdir()
    write(closed, {"x": ""})
    closed.chmod(0)
    _send(root, there)
    found = on_disk(there)
    assert found.pop(b".nox/env/bin/tool")
    assert found == on_disk(root)
    assert not (there / ".git" / "hooks").exists()
    assert _state(there) == _state(root)


def test_a_file_of_git_in_the_repositorys_place_is_replaced(tmp_path: Path) -> None:
    """A link or a file called .git that a stage left leads nowhere: what it points to is not touched."""
    root = repository(tmp_path / "here", _FIRST)
    there, elsewhere = tmp_path / "there", repository(tmp_path / "else", {"keep": "me"})
    there.mkdir()
    (there / ".git").symlink_to(elsewhere / ".git")
    before = everything(elsewhere)
    _send(root, there)
    assert everything(elsewhere) == before
    assert _state(there) == _state(root)


def test_a_tree_before_its_first_commit_and_a_detached_one_arrive(tmp_path: Path) -> None:
    """No commit is no commit there, a branch without one has its name, and a detached HEAD has none."""
    root = tmp_path / "new"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    write(root, _FIRST)
    git(root, "add", "a.py")
    snapshot, there = _send(root, tmp_path / "there")
    assert snapshot.commit is None
    assert _state(there) == _state(root)
    assert _state(there)["branch"] == "trunk"
    git(root, "commit", "-qm", "first")
    git(root, "checkout", "-q", "--detach")
    _, there = _send(root, tmp_path / "there")
    assert _state(there) == _state(root)
    assert _state(there)["branch"] is None


def test_line_ends_and_encodings_on_disk_arrive(tmp_path: Path) -> None:
    """Bytes on disk are those of the submitter where git stores others, and git calls the same files changed."""
    rules = "*.txt text\n*.win eol=crlf\n*.id ident\n*.u16 working-tree-encoding=UTF-16LE\n"
    files: dict[str, str | bytes] = {".gitattributes": rules, "a.txt": "x\n", "b.win": "y\r\n", "c.id": "$Id$\n"}
    root = repository(tmp_path / "here", {**files, "d.u16": "z".encode("utf-16-le")})
    write(root, {"new.win": "y\n", "new.txt": "x\r\n"})
    git(root, "config", "core.autocrlf", "input")
    _, there = _send(root, tmp_path / "there")
    assert on_disk(Path(there)) == on_disk(root)
    assert _state(there) == _state(root)
    assert git(Path(there), "status", "--porcelain") == git(root, "status", "--porcelain")


def test_changes_that_git_does_not_look_at_arrive(tmp_path: Path) -> None:
    """assume-unchanged and skip-worktree hide a change from git, and not from a worker."""
    root = repository(tmp_path / "here", _FIRST)
    git(root, "update-index", "--assume-unchanged", "a.py")
    git(root, "update-index", "--skip-worktree", "src/b.py")
    write(root, {"a.py": "hidden", "src/b.py": "hidden too"})
    _, there = _send(root, tmp_path / "there")
    assert on_disk(Path(there)) == on_disk(root)
    assert _state(there)["tree_digest"] == _state(root)["tree_digest"]
    assert _state(there)["dirty"] is _state(root)["dirty"] is True


def test_ignored_files_travel_only_when_they_are_included(tmp_path: Path) -> None:
    """An ignored file that include names arrives, is ignored there, and changes no digest."""
    root = repository(tmp_path / "here", _FIRST)
    write(root, {"generated/x.py": "x", "generated/deep/y.py": "y", "z.log": "", ".runs/r": "", ".nox/e": ""})
    _, there = _send(root, tmp_path / "one")
    assert not (Path(there) / "generated").exists()
    _, there = _send(root, tmp_path / "two", include=["generated/**", "**/e", ".runs/**"])
    assert {name for name in on_disk(Path(there)) if name.startswith((b"generated", b".runs", b".nox", b"z"))} == {
        b"generated/x.py",
        b"generated/deep/y.py",
    }
    assert _state(there) == _state(root)
    assert _state(there)["dirty"] is False


def test_files_that_only_the_users_own_rules_ignore_count_there_as_here(tmp_path: Path) -> None:
    """Code that .git/info/exclude ignores travels and counts; a hidden file of an editor does neither."""
    root = repository(tmp_path / "here", _FIRST)
    (root / ".git" / "info").mkdir(exist_ok=True)
    write(root, {".git/info/exclude": "mine.py\n.idea/\n", "mine.py": "code", ".idea/x": "private"})
    _, there = _send(root, tmp_path / "there")
    assert (Path(there) / "mine.py").exists()
    assert not (Path(there) / ".idea").exists()
    assert _state(there) == _state(root)


def test_a_shallow_clone_is_shallow_there(tmp_path: Path) -> None:
    """History that is not here is known to be missing there, so that no base is guessed."""
    origin = repository(tmp_path / "origin", _FIRST)
    for number in range(3):
        write(origin, {"a.py": f"{number}\n"})
        git(origin, "commit", "-qam", f"{number}")
    git(tmp_path, "-c", "protocol.file.allow=always", "clone", "-q", "--depth=2", f"file://{origin}", "here")
    _, there = _send(tmp_path / "here", tmp_path / "there")
    words = ("log", "--format=%H")
    assert git(Path(there), *words) == git(tmp_path / "here", *words)
    assert (Path(there) / ".git" / "shallow").read_bytes() == (tmp_path / "here" / ".git" / "shallow").read_bytes()
    assert _state(there) == _state(tmp_path / "here")


def test_a_linked_working_tree_and_a_workspace_below_the_top_arrive(tmp_path: Path) -> None:
    """The workspace is found where it lies in the repository, also in a second working tree of it."""
    main = repository(tmp_path / "main", {**_FIRST, "ci/noxfile.py": "", "ci/project_configs/x.toml": ""})
    git(main, "worktree", "add", "-q", str(tmp_path / "here"), "-b", "side")
    write(tmp_path / "here", {"src/new.py": "n"})
    _, there = _send(tmp_path / "here" / "ci", tmp_path / "there", needed=[tmp_path / "here" / "src"])
    assert there == str(tmp_path / "there" / "ci")
    assert _state(tmp_path / "there") == _state(tmp_path / "here")


def test_a_split_index_and_another_hash_arrive(tmp_path: Path) -> None:
    """Repositories of SHA-256, and an index in two files, are packed like any other."""
    root = tmp_path / "here"
    root.mkdir()
    git(root, "init", "-q", "-b", "main", "--object-format=sha256")
    write(root, _FIRST)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    git(root, "update-index", "--split-index")
    write(root, {"a.py": "changed", "new.py": ""})
    before = everything(root)
    _, there = _send(root, tmp_path / "there")
    assert everything(root) == before
    assert _state(there) == _state(root)


def test_a_base_that_no_branch_has_travels_with_its_history(tmp_path: Path) -> None:
    """The commit of $BASE_SHA is known there, and one that nobody knows is left out."""
    root = repository(tmp_path / "here", _FIRST)
    tree = git(root, "write-tree").decode().strip()
    base = git(root, "commit-tree", tree, "-m", "loose").decode().strip()
    _, there = _send(root, tmp_path / "there", bases=[base, "0" * 40, "--help"])
    assert git(Path(there), "cat-file", "-t", base) == b"commit\n"
    _, there = _send(root, tmp_path / "without")
    with pytest.raises(Exception, match="cat-file"):
        git(Path(there), "cat-file", "-t", base)


def test_names_of_branches_may_hold_what_ends_a_line_in_unicode(tmp_path: Path) -> None:
    """Git takes a line separator for any other character of a name, and the branch is the same one there."""
    root = repository(tmp_path / "here", _FIRST)
    name = "one\u2028two\u0085three\u00e9"
    git(root, "checkout", "-q", "-b", name)
    _, there = _send(root, tmp_path / "there")
    assert git(Path(there), "symbolic-ref", "--short", "HEAD").decode() == f"{name}\n"
    assert git(Path(there), "for-each-ref") == git(root, "for-each-ref")


def test_a_workspace_without_git_arrives_without_it(tmp_path: Path) -> None:
    """Files, links and modes are equal, records and caches stay here, and there is no repository there."""
    root = tmp_path / "here"
    write(root, {"a.py": "a", "b/c.sh": "c", ".runs/x": "", "out/y": "", "b/__pycache__/z.pyc": "", "-n\n": ""})
    (root / "b" / "c.sh").chmod(0o755)
    (root / "l").symlink_to("a.py")
    snapshot, there = _send(root, tmp_path / "there")
    assert snapshot.commit is None
    assert set(on_disk(Path(there))) == {b"a.py", b"b/c.sh", b"-n\n", b"l"}
    assert not (Path(there) / ".git").exists()
    assert _state(there) == _state(root)


def test_a_workspace_without_git_beyond_512_mib_is_refused(tmp_path: Path) -> None:
    """513 MiB of files that nobody said need not travel are refused before anything is written."""
    write(tmp_path / "here", {"a.py": ""})
    with open(tmp_path / "here" / "big", "wb") as stream:
        stream.truncate(513 << 20)
    with pytest.raises(UsageError, match="more than 512 MiB") as refusal:
        surveyed(tmp_path / "here")
    assert refusal.value.code == "too-large"


def _submodule(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD").decode().strip()
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")


def _lfs(root: Path) -> None:
    write(root, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "big.bin": "x"})


def _filter(root: Path) -> None:
    git(root, "config", "filter.crypt.clean", "rev")
    write(root, {".gitattributes": "*.py filter=crypt\n"})


def _sparse(root: Path) -> None:
    git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/src/")


def _nested(root: Path) -> None:
    repository(root / "inner", {"x": ""})


def _conflict(root: Path) -> None:
    blob = git(root, "rev-parse", "HEAD:a.py").decode().strip()
    git(root, "update-index", "--index-info", given=f"0 {'0' * 40}\ta.py\n100644 {blob} 2\ta.py\n".encode())


@pytest.mark.parametrize(
    ("make", "code", "named"),
    [
        (_submodule, "has-submodules", "vendor/lib"),
        (_lfs, "has-lfs", "big.bin"),
        (_filter, "has-filters", "a.py"),
        (_sparse, "has-sparse-checkout", "src/b.py"),
        (_nested, "nested-repository", "inner/"),
        (_conflict, "has-conflicts", "a.py"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(tmp_path: Path, make: Any, code: str, named: str) -> None:
    """Each kind that a worker could not have as it is here is refused with its first files, and nothing is written."""
    root = repository(tmp_path / "here", _FIRST)
    make(root)
    before = everything(root)
    with pytest.raises(UsageError, match=named) as refusal:
        surveyed(root)
    assert refusal.value.code == code
    assert refusal.value.hint
    assert everything(root) == before


def test_projects_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    """A folder outside the repository, by a link too, in a repository of its own, or ignored: each by its reason."""
    root = repository(tmp_path / "here", {**_FIRST, "x": ""})
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "linked").symlink_to(outside)
    repository(root / "generated" / "own", {"y": ""})
    write(root, {"generated/plain/z": ""})
    for place, code in (
        (outside, "outside-repository"),
        (root / "linked", "outside-repository"),
        (root / "generated" / "own", "outside-repository"),
        (root / "generated" / "plain", "not-in-snapshot"),
        (root / "absent.py", "not-in-snapshot"),
    ):
        with pytest.raises(UsageError, match=place.name) as refusal:
            surveyed(root, place)
        assert refusal.value.code == code
    assert surveyed(root, root / "src", root).untracked == (b"linked",)
    surveyed(root, root / "generated" / "plain", include=["generated/plain"])


def test_objects_that_are_missing_are_refused(tmp_path: Path) -> None:
    """A broken repository is no snapshot: git's reason is in the refusal, and no file is left."""
    root = repository(tmp_path / "here", _FIRST)
    blob = git(root, "rev-parse", "HEAD:src/b.py").decode().strip()
    git(root, "rm", "-q", "src/b.py")
    git(root, "commit", "-qm", "second")
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (tmp_path / "spool").mkdir()
    with pytest.raises(UsageError, match="pack-objects") as refusal:
        pack_snapshot(surveyed(root), str(tmp_path / "spool" / "s"), ENVIRON)
    assert refusal.value.code == "no-snapshot"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_snapshot_that_was_altered_is_not_unpacked(tmp_path: Path) -> None:
    """Another byte, another name of the tree, or a header that leads out of the folder: the folder is not touched."""
    root = repository(tmp_path / "here", _FIRST)
    place = tmp_path / "s"
    snapshot = pack_snapshot(surveyed(root), str(place), ENVIRON)
    said, content = snapshot.as_json(), place.read_bytes()
    there = tmp_path / "there"
    place.write_bytes(content[:-1] + b"!")
    with pytest.raises(DamagedRecord, match="not the one"):
        unpack_snapshot(said, str(place), str(there), ENVIRON)
    for old, new in (
        (b'"workspace":"."', b'"workspace":".."'),
        (b"refs/heads/main", b"refs/heads/../x"),
        (b"snapshot 1", b"snapshot 2"),
    ):
        place.write_bytes(content.replace(old, new))
        import hashlib

        altered = {**said, "bytes": place.stat().st_size, "pack_sha256": hashlib.sha256(place.read_bytes()).hexdigest()}
        with pytest.raises(DamagedRecord):
            unpack_snapshot(altered, str(place), str(there), ENVIRON)
    place.write_bytes(content)
    with pytest.raises(DamagedRecord, match="commit and tree"):
        unpack_snapshot({**said, "tree": "0" * 40}, str(place), str(there), ENVIRON)
    assert not there.exists()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full, here or there, is a refusal of storage that says so."""
    root = repository(tmp_path / "here", _FIRST)
    place = tmp_path / "s"
    found = surveyed(root)
    snapshot = pack_snapshot(found, str(place), ENVIRON)
    programs = tmp_path / "bin"
    write(programs, {"git": "#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 128\n"})
    (programs / "git").chmod(0o755)
    environ = {**ENVIRON, "PATH": f"{programs}:{ENVIRON['PATH']}"}
    with pytest.raises(StorageError, match="full"):
        unpack_snapshot(snapshot.as_json(), str(place), str(tmp_path / "there"), environ)
    with pytest.raises(StorageError, match="No space left"):
        pack_snapshot(found, str(tmp_path / "t"), environ)


_NAME = st.text('ab-é\n"', min_size=1, max_size=2)
_CHANGE = st.tuples(
    st.sampled_from(["write", "stage", "remove", "run", "link", "forget"]),
    st.lists(_NAME, min_size=1, max_size=2).map("/".join),
    st.binary(max_size=3),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_CHANGE, max_size=8), st.lists(_CHANGE, max_size=8))
def test_any_tree_arrives(tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any) -> None:
    """Whatever was committed and changed: bytes, digest, status and index are equal there, and what is clean is."""
    tmp_path = tmp_path_factory.mktemp("any")
    root = repository(tmp_path / "here", {"base": "b"})
    for changes in (first, second):
        for kind, name, content in changes:
            _change(root, kind, root / name, content)
        if changes is first:
            git(root, "add", "-A")
            git(root, "commit", "-q", "--allow-empty", "-m", "changes")
    _, there = _send(root, tmp_path / "there")
    assert on_disk(Path(there)) == on_disk(root)
    assert _state(there) == _state(root)
    assert git(Path(there), "ls-files", "-s", "-z") == git(root, "ls-files", "-s", "-z")
    is_as_committed = git(root, "status", "--porcelain") == b""
    assert is_clean(str(tmp_path / "there.snapshot")) == is_as_committed
    assert not (is_as_committed and _state(there)["dirty"])


def _change(root: Path, kind: str, path: Path, content: bytes) -> None:
    try:
        if kind in ("remove", "forget") or path.is_symlink():
            path.unlink()
        if kind in ("write", "stage", "run"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if kind == "run" else 0o644)
        elif kind == "link":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(os.fsdecode(content.replace(b"\0", b"0")) or "nowhere")
    except OSError:
        return
    if kind in ("stage", "forget"):
        git(root, "add", "-A", "--", ":/")


def test_closed_folders_are_opened_at_any_depth(tmp_path: Path) -> None:
    """Each folder below the top can be entered afterwards; the folder that a link leads to keeps its mode."""
    deep, other = tmp_path / "top" / "a" / "b", tmp_path / "other"
    deep.mkdir(parents=True)
    other.mkdir(mode=0o750)
    (deep / "link").symlink_to(other)
    for folder in (deep, deep.parent, tmp_path / "top"):
        folder.chmod(0)
    open_folders(str(tmp_path / "top"))
    modes = [folder.stat().st_mode & 0o777 for folder in (tmp_path / "top", deep.parent, deep, other)]
    assert modes == [0o700, 0o700, 0o700, 0o750]
