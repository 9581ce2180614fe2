"""A project's tree as it is on disk, whatever git was set not to look at (contract, section 7, "The tree")."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.base.record import Record
from orchestrator.git.filtered_files import altered_idents, attribute_rules, compare_filtered, same_but_line_ends
from orchestrator.git.porcelain import (
    LIST,
    STATUS,
    UNTRACKED,
    Change,
    Listing,
    Status,
    parse_list,
    parse_status,
    prefix_of,
)
from orchestrator.git.repository import repository_top
from orchestrator.git.scope import Scope, is_hidden
from orchestrator.git.tree import FOLDER, LINK, Entry, Hasher, digest, walk
from orchestrator.git.work_tree import GIT_SECONDS, WorkTree

_OTHERS = ("ls-files", "--others", "--full-name", "-z")


class TreeOnDisk(Record):
    """The files of a project's tree, by path from its folder.

    ``changed`` are those that differ from HEAD or are not tracked, with their entry, None where there is no file;
    ``unknown`` are files that a filter stores in another form, so that nobody can tell whether they differ.
    """

    entries: Mapping[bytes, Entry]
    changed: Mapping[bytes, Entry | None]
    untracked: frozenset[bytes]
    unknown: tuple[bytes, ...]

    @property
    def is_dirty(self) -> bool:
        """Whether a file differs from HEAD."""
        return bool(self.changed)

    def digest(self) -> str:
        """Return the digest (sha256, hex) of paths, modes and contents."""
        return digest(self.entries)


def tree_on_disk(
    work: WorkTree,
    folder: str,
    status: Status,
    listing: Listing,
    scope: Scope,
    hasher: Hasher,
    personal: Iterable[bytes] = (),
) -> TreeOnDisk:
    """Return the tree in ``folder``: what git says of it, and what it does not look at.

    ``personal`` are files, from the repository's top, that only the user's own rules ignore. A file that git takes
    for unchanged is not read, since the index knows its blob. Two things change the digest when they are
    committed although no file changes: a submodule's new commit, and a file whose line endings are stored in
    another form. Raises TooMuch, and OSError when git can't be started.
    """
    prefix = prefix_of(work.top, folder)
    if listing.entries and len(next(iter(listing.entries.values()))[1]) == 64:
        hasher.algorithm = "sha256"
    listed = {path: entry for path, entry in listing.entries.items() if scope.holds(path.removeprefix(prefix))}
    changes = dict(_in_scope(status, prefix, scope))
    top = os.fsencode(work.top)
    disk: dict[bytes, Entry | None] = {}
    for path, change in changes.items():
        if change.worktree != "." or change.kind == "?":
            _read_change(top, path, change, scope, hasher, prefix, disk)
    disk.update(_hidden(work, listed, listing.hidden, changes, hasher))
    rules = attribute_rules(work, listed)
    disk.update(altered_idents(work, listed, hasher, rules))
    unknown = compare_filtered(work, listed, changes, disk, hasher, rules)
    for path in personal:
        if path not in listed and scope.is_code(path.removeprefix(prefix)):
            disk[path] = hasher.entry(os.path.join(top, path))
            changes[path] = Change("?")
    entries = {path.removeprefix(prefix): entry for path, entry in listed.items()}
    changed: dict[bytes, Entry | None] = {}
    for path, entry in disk.items():
        inner = path.removeprefix(prefix)
        entries.pop(inner, None)
        if entry is not None:
            entries[inner] = entry
        if path not in unknown:
            changed[inner] = entry
    for path, change in changes.items():
        inner = path.removeprefix(prefix)
        if change.staged != "." and change.kind != "?":
            changed.setdefault(inner, entries.get(inner))
    untracked = frozenset(path.removeprefix(prefix) for path in disk if path not in listed)
    return TreeOnDisk(entries, changed, untracked, tuple(sorted(path.removeprefix(prefix) for path in unknown)))


class DifferencesUnseen(Record):
    """Tracked files, from the top, of which git's word is not the disk's.

    ``hidden``: they differ from the index and git does not look; ``same``: git calls them changed and they are not;
    ``unknown``: a filter, which is not run, stores them in another form.
    """

    hidden: frozenset[bytes]
    same: frozenset[bytes]
    unknown: frozenset[bytes]


def differences_unseen(work: WorkTree, folder: str, named: frozenset[bytes]) -> DifferencesUnseen:
    """Return where git is wrong about the tracked files below ``folder``; ``named`` are those it calls changed.

    Raises OSError when git can't be started or does not answer (TimeoutError), or answers nonsense.
    """
    answer = work.start(LIST, folder).answer(GIT_SECONDS)
    try:
        listing = parse_list(answer.output) if answer.code == 0 else Listing({}, {})
    except ValueError as error:
        raise OSError(f"git's answer was not understood: {error}") from error
    hasher = Hasher()
    if listing.entries and len(next(iter(listing.entries.values()))[1]) == 64:
        hasher.algorithm = "sha256"
    unlooked = [*_hidden(work, listing.entries, listing.hidden, {}, hasher)]
    rules = attribute_rules(work, listing.entries)
    unlooked += altered_idents(work, listing.entries, hasher, rules)
    hidden = frozenset(path for path, _ in unlooked)
    top = os.fsencode(work.top)
    disk = {path: hasher.entry(os.path.join(top, path)) for path in named & listing.entries.keys()}
    before = {path for path, entry in disk.items() if entry is not None}
    unknown = compare_filtered(work, listing.entries, {}, disk, hasher, rules)
    return DifferencesUnseen(hidden, frozenset(before - disk.keys()), unknown)


def ignored_by_user(work: WorkTree, folder: str) -> frozenset[bytes]:
    """Return the untracked files below ``folder``, from the top, that only the user's own rules ignore.

    Hidden files are left out (``scope.is_hidden``). Raises OSError when git can't be started or does not answer.
    """
    if not work.settings.has_personal_excludes:
        return frozenset()
    processes = [work.start(command, folder) for command in (UNTRACKED, (*_OTHERS, "--exclude-standard"))]
    try:
        ours, usual = (process.answer(GIT_SECONDS) for process in processes)
    finally:
        for process in processes:
            process.end()
    names = set(ours.output.split(b"\0")) - set(usual.output.split(b"\0"))
    return frozenset(name for name in names if not is_hidden(name))


def _in_scope(status: Status, prefix: bytes, scope: Scope) -> Iterator[tuple[bytes, Change]]:
    for path, change in status.changes.items():
        inner = path.removeprefix(prefix)
        if scope.holds_untracked(inner.rstrip(b"/")) if change.kind == "?" else scope.holds(inner):
            yield path, change


def _read_change(
    top: bytes,
    path: bytes,
    change: Change,
    scope: Scope,
    hasher: Hasher,
    prefix: bytes,
    disk: dict[bytes, Entry | None],
) -> None:
    place = os.path.join(top, path)
    if change.submodule and os.path.isdir(place):
        disk[path] = FOLDER, digest(walk(place, Scope(), hasher)).encode()
    elif path.endswith(b"/"):
        inside = walk(place, scope, hasher, path.removeprefix(prefix))
        disk.update({prefix + inner: entry for inner, entry in inside.items()})
    else:
        entry = hasher.entry(place)
        has_mode = entry is not None and change.kind == "1" and change.mode.strip(b"0")
        disk[path] = (change.mode, entry[1]) if entry is not None and has_mode else entry


def _hidden(
    work: WorkTree,
    listed: Mapping[bytes, Entry],
    hidden: Mapping[bytes, bool],
    changes: Mapping[bytes, Change],
    hasher: Hasher,
) -> Iterator[tuple[bytes, Entry | None]]:
    """Yield the files that git takes for unchanged without looking, and that are not; submodules are looked into."""
    top = os.fsencode(work.top)
    for path, entry in listed.items():
        if entry[0] == FOLDER and path not in changes:
            place = os.path.join(top, path)
            if _submodule_moved(work, place, entry[1]):
                yield path, (FOLDER, digest(walk(place, Scope(), hasher)).encode())
        elif path in hidden:
            place = os.path.join(top, path)
            found = hasher.entry(place)
            if found is None and hidden[path]:
                continue
            if found is not None and not dict(work.settings.pairs).get("core.fileMode") and found[0] != LINK:
                found = (entry[0], found[1])
            if found != entry and not (found is not None and same_but_line_ends(place, found, entry, hasher)):
                yield path, found


def _submodule_moved(work: WorkTree, place: bytes, commit: bytes) -> bool:
    """Tell whether a submodule differs from ``commit``, untracked files apart; one that is not there does not."""
    folder = os.fsdecode(place)
    if repository_top(folder) != os.path.realpath(folder):
        return False
    inner = WorkTree.around(folder, work.environ)
    if inner is None:
        return False
    status = inner.start(STATUS, folder)
    listing = inner.start(LIST, folder)
    try:
        said, listed = status.answer(GIT_SECONDS), listing.answer(GIT_SECONDS)
        if said.code or listed.code:
            return True
        found = parse_status(said.output)
        tree = tree_on_disk(inner, folder, found, parse_list(listed.output), Scope(), Hasher())
        return (found.commit or "").encode() != commit or not tree.untracked.issuperset(tree.changed)
    except (TimeoutError, ValueError):
        return True
    finally:
        status.end()
        listing.end()
