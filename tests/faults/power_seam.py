"""A model of what a power cut leaves, kept beside the real files.

The model is POSIX at its least generous, rename apart:

- a file's bytes are safe up to its last fsync; of what came after, all, nothing or half may be there;
- a name (made, renamed, removed) is safe from the next fsync of its folder; until then each may or may
  not be there, independently of the others, in whatever order they came;
- a rename is atomic: it is there wholly or not at all, also between two folders, and is safe from the
  fsync of either. Journaling file systems (ext4, xfs, btrfs, apfs) keep that;
- an fsync that returned has happened. Disks that lie are beyond any program.

Locks, and the process's memory, are gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.faults.crash_seam import Hook, QuickSeam, _nothing

Fate = Literal["all", "nothing", "half"]


@dataclass(eq=False)
class _File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    target: str | None = None

    def content(self, fate: Fate) -> bytes:
        if fate == "all":
            return bytes(self.data)
        if fate == "nothing":
            return self.synced
        return bytes(self.data[: len(self.synced) + max(0, len(self.data) - len(self.synced)) // 2])


@dataclass(eq=False)
class _Dir:
    names: dict[str, _Node] = field(default_factory=dict)
    safe: dict[str, _Node] = field(default_factory=dict)
    pending: list[_Change] = field(default_factory=list)


_Node = _File | _Dir


@dataclass(eq=False)
class _Change:
    """Names that appear (a node) or go (None) together."""

    parts: list[tuple[_Dir, str, _Node | None]]

    def apply(self, names: Callable[[_Dir], dict[str, _Node]]) -> None:
        for folder, name, node in self.parts:
            if node is None:
                names(folder).pop(name, None)
            else:
                names(folder)[name] = node


class PowerSeam(QuickSeam):
    """Counts operations, and knows at each moment what a power cut would leave of the folder ``root``."""

    def __init__(self, root: Path, before: Hook = _nothing) -> None:
        super().__init__(before)
        self._nodes: dict[tuple[int, int], _Node] = {}
        self._root = self._learn(root)

    def _learn(self, path: Path) -> _Node:
        """Take what is there already as safe."""
        found = path.lstat()
        node: _Node
        if path.is_symlink():
            node = _File(target=os.readlink(path))
        elif path.is_dir():
            node = _Dir()
            node.names = {entry.name: self._learn(entry) for entry in path.iterdir()}
            node.safe = dict(node.names)
        else:
            node = _File(bytearray(path.read_bytes()), path.read_bytes())
        self._nodes[found.st_dev, found.st_ino] = node
        return node

    def _known(self, fd: int) -> _Node | None:
        found = os.fstat(fd)
        return self._nodes.get((found.st_dev, found.st_ino))

    def _dir(self, fd: int) -> _Dir:
        node = self._known(fd)
        assert isinstance(node, _Dir)
        return node

    def _change(self, *parts: tuple[_Dir, str, _Node | None]) -> None:
        change = _Change(list(parts))
        change.apply(lambda folder: folder.names)
        for folder in {id(folder): folder for folder, _, _ in parts}.values():
            folder.pending.append(change)

    def _made(self, name: str, folder: int, node: _Node) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        self._nodes[found.st_dev, found.st_ino] = node
        self._change((self._dir(folder), name, node))

    def open(self, name: str, flags: int, mode: int, folder: int | None) -> int:
        fd = super().open(name, flags, mode, folder)
        if folder is not None and flags & os.O_CREAT and name not in self._dir(folder).names:
            self._made(name, folder, _File())
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        count = super().write(fd, data)
        node = self._known(fd)
        if isinstance(node, _File):
            start = os.lseek(fd, 0, os.SEEK_CUR) - count
            node.data[start : start + count] = bytes(data[:count])
        return count

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        node = self._known(fd)
        if isinstance(node, _File):
            del node.data[size:]

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self.settle(self._known(fd))

    @staticmethod
    def settle(node: _Node | None) -> None:
        """Make a file's bytes or a folder's names safe."""
        if isinstance(node, _File):
            node.synced = bytes(node.data)
        elif node is not None:
            for change in node.pending:
                change.apply(lambda folder: folder.safe)
            for change in list(node.pending):
                for folder in {id(folder): folder for folder, _, _ in change.parts}.values():
                    folder.pending.remove(change)

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        super().replace(source, target, folder, target_folder)
        here, there = self._dir(folder), self._dir(target_folder)
        node = here.names[source]
        self._change((here, source, None), (there, target, node))

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        super().mkdir(name, mode, folder)
        self._made(name, folder, _Dir())

    def symlink(self, target: str, name: str, folder: int) -> None:
        super().symlink(target, name, folder)
        self._made(name, folder, _File(target=target))

    def unlink(self, name: str, folder: int) -> None:
        super().unlink(name, folder)
        self._change((self._dir(folder), name, None))

    def rmdir(self, name: str, folder: int) -> None:
        super().rmdir(name, folder)
        self._change((self._dir(folder), name, None))

    def cut_power(
        self, into: Path, *, keeps: Callable[[], bool] = lambda: False, fate: Callable[[], Fate] = lambda: "nothing"
    ) -> None:
        """Write into the empty folder ``into`` what is left of ``root`` after a power cut now.

        ``keeps`` is asked for each unsafe name, ``fate`` for each file; by default all that is unsafe is lost.
        """
        kept: dict[int, dict[str, _Node]] = {}

        def names(folder: _Dir) -> dict[str, _Node]:
            return kept.setdefault(id(folder), dict(folder.safe))

        decided: dict[int, bool] = {}
        for node in dict.fromkeys(self._nodes.values()):
            if isinstance(node, _Dir):
                for change in node.pending:
                    if id(change) not in decided:
                        decided[id(change)] = keeps()
                        if decided[id(change)]:
                            change.apply(names)
        self._write(into, self._root, names, fate)

    def _write(
        self, path: Path, node: _Node, names: Callable[[_Dir], dict[str, _Node]], fate: Callable[[], Fate]
    ) -> None:
        if isinstance(node, _Dir):
            path.mkdir(exist_ok=True)
            for name, inner in names(node).items():
                self._write(path / name, inner, names, fate)
        elif node.target is not None:
            path.symlink_to(node.target)
        else:
            path.write_bytes(node.content(fate()))
