"""Files that git stores in another form: by a filter, which is not run, by Git LFS, or with other line endings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.git.porcelain import Change
from orchestrator.git.settings import LFS
from orchestrator.git.tree import FOLDER, LINK, Entry, Hasher
from orchestrator.git.work_tree import CONVERSIONS, GIT_SECONDS, RULES, WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

_POINTER_BYTES = 1024
"""A pointer of Git LFS is shorter than this (its specification, "The Pointer")."""

_CHUNK = 1 << 20
_COMMAND_LINE_BYTES = 64 * 1024
_PATHSPEC_VALUE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_,")
"""What a pathspec takes as an attribute's value (``invalid_value_char`` in git's ``pathspec.c``)."""

_MOST_CHANGED_LINE_ENDS = 16 << 20

_NOT_SET = frozenset({b"unspecified", b"unset"})
_EXPANDED_IDENT = rb"\$Id: [0-9a-f]{40}(?:[0-9a-f]{24})? \$"
"""What git writes for ``$Id$``: the name of a blob, SHA-1 or SHA-256, and nothing else."""


def attribute_rules(work: WorkTree, listed: Mapping[bytes, Entry]) -> bytes:
    """Return all that files of attributes say that may concern the listed files; to read once for many questions."""
    name = os.fsencode(RULES)
    folders = {"", *(os.fsdecode(os.path.dirname(path)) for path in listed if path.endswith(name))}
    for path in listed:
        above = os.path.dirname(path)
        while above:
            folders.add(os.fsdecode(above))
            above = os.path.dirname(above)
        break  # the folders above the project are above each of its files
    return work.rules(sorted(folders))


def same_but_line_ends(place: bytes, found: Entry, entry: Entry, hasher: Hasher) -> bool:
    """Tell whether a file differs from its ``entry`` in the index by its line endings only."""
    if found[0] != entry[0] or found[0] == LINK:
        return False
    content = _content(place, _MOST_CHANGED_LINE_ENDS)
    return b"\r\n" in content and hasher.blob(content.replace(b"\r\n", b"\n")) == entry[1]


def compare_filtered(
    work: WorkTree,
    listed: Mapping[bytes, Entry],
    changes: dict[bytes, Change],
    disk: dict[bytes, Entry | None],
    hasher: Hasher,
    rules: bytes,
) -> frozenset[bytes]:
    """Compare files that a filter stores in another form, which is not run; return those of which that can't be known.

    Files of Git LFS are what their pointer says. Of others the bytes on disk count, at every lookup. ``rules`` are
    ``attribute_rules``.
    """
    modified = [path for path, entry in disk.items() if path in listed and entry is not None and entry[0] != FOLDER]
    if modified and _may_have_lfs(work, rules):
        for path in _with_filter(work, LFS, modified) & set(modified):
            place = os.path.join(os.fsencode(work.top), path)
            if _pointer_says(work, listed[path][1]) == _sha256(place):
                disk.pop(path)
                change = changes.get(path)
                if change is not None:
                    changes[path] = change._replace(worktree=".")
    unknown = set(_converted(work, listed, rules)["working-tree-encoding"])
    for name in work.settings.unknown_filters:
        unknown |= _with_filter(work, name, listed) & listed.keys()
    for path in unknown:
        found = hasher.entry(os.path.join(os.fsencode(work.top), path))
        if found is None:  # one that is gone differs, whatever its form
            continue
        disk[path] = found
    return frozenset(path for path in unknown if disk.get(path) is not None)


def altered_idents(
    work: WorkTree, listed: Mapping[bytes, Entry], hasher: Hasher, rules: bytes
) -> Iterator[tuple[bytes, Entry]]:
    """Yield the files whose bytes differ from the index though git, by ``ident``, takes them for the same.

    git leaves out whatever stands between ``$Id:`` and the next dollar sign; here only the name of a blob is left out.
    ``rules`` are ``attribute_rules``.
    """
    import re

    for path in _converted(work, listed, rules)["ident"]:
        place = os.path.join(os.fsencode(work.top), path)
        found = hasher.entry(place)
        if found is None or found[0] in (LINK, FOLDER) or found[1] == listed[path][1]:
            continue
        content = re.sub(_EXPANDED_IDENT, b"$Id$", _content(place, _MOST_CHANGED_LINE_ENDS))
        if hasher.blob(content) != listed[path][1]:
            yield path, (listed[path][0], found[1])


def _converted(work: WorkTree, listed: Mapping[bytes, Entry], rules: bytes) -> dict[str, list[bytes]]:
    """Return the tracked files that git converts, by attribute; git is asked only where a file of rules names one."""
    found: dict[str, list[bytes]] = {name: [] for name in CONVERSIONS}
    names = [name for name in CONVERSIONS if name.encode() in rules]
    if not names:
        return found
    for paths in _chunks(listed):
        command = ("check-attr", "-z", *names, "--", *map(os.fsdecode, paths))
        fields = work.start(command).answer(GIT_SECONDS).output.split(b"\0")
        for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            if value not in _NOT_SET and path in listed:
                found[os.fsdecode(name)].append(path)
    return found


def _may_have_lfs(work: WorkTree, rules: bytes) -> bool:
    return LFS.encode() in rules or LFS in work.settings.filters


def _with_filter(work: WorkTree, name: str, listed: Iterable[bytes]) -> set[bytes]:
    """Return the tracked files with that filter; a pathspec names few characters, so others are asked for singly."""
    if _PATHSPEC_VALUE.issuperset(name):
        command = ("ls-files", "--full-name", "-z", "--", f":(top,attr:filter={name})")
        answer = work.start(command).answer(GIT_SECONDS)
        return {path for path in answer.output.split(b"\0") if path} if answer.code == 0 else set()
    found: set[bytes] = set()
    for paths in _chunks(listed):
        answer = work.start(("check-attr", "-z", "filter", "--", *map(os.fsdecode, paths))).answer(GIT_SECONDS)
        fields = answer.output.split(b"\0")
        found |= {path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == os.fsencode(name)}
    return found


def _chunks(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the paths in lists that fit into one command line."""
    chunk: list[bytes] = []
    size = 0
    for path in paths:
        chunk.append(path)
        size += len(path) + 1
        if size > _COMMAND_LINE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pointer_says(work: WorkTree, blob: bytes) -> bytes | None:
    answer = work.start(("cat-file", "blob", blob.decode())).answer(GIT_SECONDS)
    for line in answer.output[:_POINTER_BYTES].splitlines():
        if line.startswith(b"oid sha256:"):
            return line.removeprefix(b"oid sha256:").strip()
    return None


def _sha256(place: bytes) -> bytes | None:
    import hashlib

    state: _Hash = hashlib.sha256()
    try:
        with open(place, "rb", opener=_unfollowed) as stream:
            while chunk := stream.read(_CHUNK):
                state.update(chunk)
    except OSError:
        return None
    return state.hexdigest().encode()


def _content(place: bytes, most: int) -> bytes:
    try:
        with open(place, "rb", opener=_unfollowed) as stream:
            return stream.read(most)
    except OSError:
        return b""


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
