"""The Markdown files of a workspace that checklists may stand in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.base.errors import UsageError
from orchestrator.base.files.changes import UnfitFileError, current_text
from orchestrator.base.finding import Finding
from orchestrator.checks.checklists.items import mirror_paths, task_of_path
from orchestrator.checks.checklists.markdown import DEEPEST, TooDeepError, structure_of

FOLDERS = ("tasks", "docs", ".agent")
SUFFIXES = (".md", ".markdown", ".mdown", ".mdwn", ".mkd", ".mkdn", ".mkdown", ".livemd", ".mdx")
"""What GitHub shows as Markdown, in any case of letters."""


@dataclass(frozen=True, slots=True)
class Documents:
    """The texts by their paths from the workspace, findings about files that can't be read, and notes."""

    texts: dict[str, str]
    unreadable: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    def refuse_unreadable(self, task: str) -> None:
        """Raise UsageError when a place of the task's checklist can't be read; other pages stop nothing."""
        for finding in self.unreadable:
            if finding.path in mirror_paths(task):
                raise UsageError(f"'{finding.path}' can't be read: {finding.message}", code=finding.code)


def read_documents(root: str, ignored: Callable[[str], bool] = lambda path: False) -> Documents:
    """Return the documents of the workspace at ``root``, but for those whose path is ``ignored``.

    Links to files and folders of the workspace are followed, so that no page of it is left out, but those in a
    place of a checklist, which is written to. Other links are findings (files) and notes (folders).
    """
    texts: dict[str, str] = {}
    unreadable: list[Finding] = []
    notes: list[Finding] = []
    for path in _files(os.path.realpath(root), notes):
        if ignored(path):
            continue
        try:
            text = _text(root, path)
            structure_of(text)
        except UnfitFileError as error:
            unreadable.append(Finding("document-unreadable", path, str(error)))
        except TooDeepError:
            what = f"its lists and quotes stand inside each other more than {DEEPEST} times"
            unreadable.append(Finding("document-unreadable", path, what))
        else:
            texts[path] = text
    return Documents(texts, tuple(unreadable), tuple(notes))


def _files(root: str, notes: list[Finding]) -> Iterator[str]:
    """Yield the Markdown files of all folders, links to folders of the workspace followed once."""
    seen: set[str] = set()
    waiting = list(FOLDERS[::-1])
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(os.path.join(root, here))
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(os.path.join(root, here)), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            notes.append(Finding("folder-unreadable", here, f"it can't be read: {error.strerror or error}"))
            continue
        linked: list[str] = []
        for entry in entries:
            path = f"{here}/{entry.name}"
            if entry.is_dir():
                if entry.is_symlink():
                    notes.append(_linked_folder(root, path))
                    if _is_inside(root, path):
                        linked.append(path)
                else:
                    waiting.append(path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield path
        waiting[:0] = linked  # after all folders that stand here themselves


def _linked_folder(root: str, path: str) -> Finding:
    target = os.readlink(os.path.join(root, path))
    what = "is read" if _is_inside(root, path) else "lies outside of the workspace and is not read"
    return Finding("folder-linked", path, f"it is a link to '{target}', which {what}")


def _is_inside(root: str, path: str) -> bool:
    return os.path.realpath(os.path.join(root, path)).startswith(os.path.join(root, ""))


def _text(root: str, path: str) -> str:
    full = os.path.join(root, path)
    if not os.path.islink(full):
        return current_text(root, path) or ""
    if task_of_path(path) is not None:
        raise UnfitFileError("it is a link; a checklist and its mirrors are files of their own")
    real = os.path.realpath(full)
    if not os.path.exists(real):
        raise UnfitFileError(f"it is a link that leads nowhere: '{os.readlink(full)}'")
    if not _is_inside(os.path.realpath(root), path):
        raise UnfitFileError(f"it is a link out of the workspace: '{os.readlink(full)}'")
    return current_text(os.path.dirname(real), os.path.basename(real)) or ""
