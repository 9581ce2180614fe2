"""Reading git's answers, and the digest of a tree."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.git.host import host, tools
from orchestrator.git.porcelain import Change, digested, parse_list, parse_status
from orchestrator.git.scope import CodePatterns, Scope, scope_of
from orchestrator.git.tree import Hasher, TooMuch, digest, digest_of_lines, walk

PATHS = st.binary(min_size=1, max_size=12).filter(lambda path: b"\0" not in path)
BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""The id that git gives the empty file."""


def test_status_of_a_clean_branch() -> None:
    """Commit and branch come from the headers; nothing has changed."""
    status = parse_status(f"# branch.oid {BLOB}\0# branch.head main\0# branch.ab +0 -0\0".encode())
    assert (status.commit, status.branch, status.changes) == (BLOB, "main", {})


def test_status_without_a_commit_or_a_branch() -> None:
    """An unborn branch has no commit, a detached HEAD no branch."""
    assert parse_status(b"# branch.oid (initial)\0# branch.head main\0").commit is None
    assert parse_status(b"# branch.oid abc\0# branch.head (detached)\0").branch is None


def test_status_of_changes() -> None:
    """Each kind of record gives its path, also with spaces, newlines and renames in it."""
    records = [
        b"1 .M N... 100644 100644 100755 aa aa a file\nwith all",
        b"1 .M SCMU 160000 160000 160000 aa bb sub",
        b"2 R. N... 100644 100644 100644 aa bb R100 new name",
        b"1 old name",
        b"u UU N... 100644 100644 100644 100644 aa bb cc both",
        b"? un tracked/",
        b"",
    ]
    assert parse_status(b"\0".join(records)).changes == {
        b"a file\nwith all": Change("1", ".", "M", b"100755"),
        b"sub": Change("1", ".", "M", b"160000", submodule=True),
        b"new name": Change("2", "R", ".", b"100644"),
        b"both": Change("u", "U", "U", b"100644"),
        b"un tracked/": Change("?"),
    }


@given(st.dictionaries(PATHS, st.tuples(st.sampled_from("MADT."), st.sampled_from("MDT.A"))))
def test_any_path_is_read_back(changes: dict[bytes, tuple[str, str]]) -> None:
    """Whatever bytes a path has, it comes back with its letters."""
    output = b"".join(
        f"1 {index}{worktree} N... 100644 100644 100644 aa bb ".encode() + path + b"\0"
        for path, (index, worktree) in changes.items()
    )
    read = parse_status(output).changes
    assert {path: change.worktree for path, change in read.items()} == {p: both[1] for p, both in changes.items()}


@given(st.binary(max_size=60))
def test_anything_else_is_refused_in_words(output: bytes) -> None:
    """What git would never print ends in ValueError or is read; nothing else is raised."""
    for parse in (parse_status, parse_list):
        try:
            parse(output)
        except ValueError:
            continue


INDEX = st.dictionaries(
    st.lists(st.text("ab/ 0\t", min_size=1, max_size=3), min_size=1, max_size=3).map(lambda parts: "/".join(parts)),
    st.sampled_from(["100644", "100755", "120000", "160000"]),
    min_size=1,
    max_size=6,
)


@given(INDEX, st.sampled_from([b"", b"in/"]), st.booleans(), st.sampled_from("HhSs"))
def test_the_index_is_digested_as_its_entries_are(
    index: dict[str, str], prefix: bytes, unmerged: bool, tag: str
) -> None:
    """Where the digest is made of what git printed, it is that of the entries, one by one."""
    records = {path.encode(): f"{tag} {mode} {BLOB} {2 if unmerged else 0}".encode() for path, mode in index.items()}
    output = b"".join(b"%b\t%b%b\0" % (records[path], prefix, path) for path in sorted(records))
    data = digested(output, prefix)
    entries = {path.removeprefix(prefix): entry for path, entry in parse_list(output).entries.items()}
    if data is not None:
        assert digest_of_lines(data) == digest(entries)
    takes_care = unmerged or tag != "H" or "160000" in index.values() or b" 0\t" in b"\0".join(records)
    assert (data is None) == takes_care


def test_the_index_is_read() -> None:
    """Mode and blob of each path; of an unmerged one, one entry; those are named that git does not look at."""
    listed = f"H 100644 {BLOB} 0\ta b\n\0S 120000 {BLOB} 0\tlink\0h 100644 {BLOB} 2\tboth\0h 100755 {BLOB} 3\tboth\0"
    read = parse_list(listed.encode())
    assert read.hidden == {b"link": True, b"both": False}
    assert read.entries == {
        b"a b\n": (b"100644", BLOB.encode()),
        b"link": (b"120000", BLOB.encode()),
        b"both": (b"100755", BLOB.encode()),
    }


@given(st.dictionaries(PATHS, st.tuples(st.sampled_from([b"100644", b"100755"]), st.just(BLOB.encode()))))
def test_the_digest_knows_no_order(entries: dict[bytes, tuple[bytes, bytes]]) -> None:
    """The same entries give the same digest in any order, one more gives another."""
    assert digest(entries) == digest(dict(reversed(entries.items())))
    assert digest({**entries, b"\0one more": (b"100644", b"x")}) != digest(entries)


def test_blobs_are_gits(tmp_path: Path) -> None:
    """Files, executables and links get the ids and modes that git gives them."""
    (tmp_path / "empty").touch(mode=0o644)
    (tmp_path / "tool").write_bytes(b"x\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "link").symlink_to("empty")
    os.mkfifo(tmp_path / "pipe")
    assert walk(os.fsencode(tmp_path), Scope(), Hasher()) == {
        b"empty": (b"100644", BLOB.encode()),
        b"tool": (b"100755", hashlib.sha1(b"blob 2\0x\n").hexdigest().encode()),
        b"link": (b"120000", hashlib.sha1(b"blob 5\0empty").hexdigest().encode()),
    }
    entry = Hasher("sha256").entry(os.fsencode(tmp_path / "empty"))
    assert entry == (b"100644", hashlib.sha256(b"blob 0\0").hexdigest().encode())


@pytest.mark.parametrize("path", ["gone", "file/inner"])
def test_what_is_gone_has_no_entry(tmp_path: Path, path: str) -> None:
    """A file that vanished meanwhile is no part of the tree."""
    (tmp_path / "file").touch()
    assert Hasher().entry(os.fsencode(tmp_path / path)) is None


@pytest.mark.parametrize(
    "hasher", [Hasher(files_limit=1), Hasher(bytes_limit=3), Hasher(deadline=1.0, monotonic=lambda: 2.0)]
)
def test_limits_hold(tmp_path: Path, hasher: Hasher) -> None:
    """Too many files, too many bytes or too much time end the hashing."""
    for name in "ab":
        (tmp_path / name).write_text("12")
    with pytest.raises(TooMuch):
        walk(os.fsencode(tmp_path), Scope(), hasher)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link to a folder is an entry of its own; what is behind it is not read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("../outside")
    assert list(walk(os.fsencode(tmp_path / "tree"), Scope(), Hasher())) == [b"link"]


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        *((b"src/a.py", True), (b"src/build/a.py", True), (b"src/dist", True), (b"packages/out/a", True)),
        *((b"build/a", False), (b"dist/a.whl", False), (b"a/node_modules/b", False), (b"a/__pycache__/b", False)),
        *((b".runs/x", False), (b"out/x", False), (b"src/x.egg-info/PKG-INFO", False), (b"made/report.md", False)),
        (b"made/a.py", True),
    ],
)
def test_caches_and_products_do_not_count(path: bytes, counts: bool) -> None:
    """Untracked caches, products of builds and declared outputs that are no code are left out; tracked files count."""
    scope = Scope(ignored=("made/*",), code=CodePatterns(exclude=("*.md",)))
    assert scope.holds_untracked(path) is counts
    assert scope.holds(path)


def test_the_workspaces_own_files_do_not_count(tmp_path: Path) -> None:
    """Where the project is the workspace: no runs, no snapshots, no checklists, moved folders included."""
    root = str(tmp_path)
    scope = scope_of(root, root, {})
    held = [
        path for path in (b".runs/x", b"out/x", b"tasks/a.md", b".agent/x", b"tasks.py", b"outer") if scope.holds(path)
    ]
    assert held == [b"tasks.py", b"outer"]
    moved = scope_of(root, root, {"CODEX_ORCHESTRATOR_RUNS_DIR": str(tmp_path / "var" / "runs")})
    assert not moved.holds(b"var/runs/x")
    assert moved.holds(b"var/x")


def test_a_projects_own_folders_count(tmp_path: Path) -> None:
    """In a project below the workspace, ``tasks`` is an ordinary package."""
    project = tmp_path / "packages" / "a"
    project.mkdir(parents=True)
    assert scope_of(str(project), str(tmp_path), {}).holds(b"tasks/a.py")


def test_versions_are_known_by_folder_names(tmp_path: Path) -> None:
    """The first folder on the path that names a tool counts; a tool that is nowhere is null."""
    for name in ("nox-2026.10.20.dist-info", "nox_poetry-1.dist-info", "first/nox-1.dist-info"):
        (tmp_path / name).mkdir(parents=True)
    found = tools(["/nowhere", str(tmp_path / "first"), str(tmp_path)])
    assert (found["nox"], found["invoke"]) == ("1", None)
    assert set(tools(sys.path)) == {"orchestrator", "nox", "invoke"}


def test_the_host_is_reported() -> None:
    """Name, platform and Python are those of this machine and interpreter."""
    assert host() == {
        "host": os.uname().nodename,
        "platform": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}",
        "python": sys.version.split()[0].split("+")[0],
    }


def test_one_file_does_not_outlast_the_time(tmp_path: Path) -> None:
    """The deadline, and the bytes that are allowed, hold within a file too, whatever size it says that it has."""
    (tmp_path / "big").write_bytes(b"x" * (5 << 20))
    times = iter(range(100))
    with pytest.raises(TooMuch, match="too long"):
        Hasher(deadline=3, monotonic=lambda: float(next(times))).entry(os.fsencode(tmp_path / "big"))
    endless = "/proc/self/pagemap"
    if os.access(endless, os.R_OK):
        with pytest.raises(TooMuch, match="bytes"):
            Hasher(bytes_limit=1 << 20).entry(endless.encode())
