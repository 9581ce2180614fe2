"""Copies of a project's tracked tree, in which its guardrails are tried: as it is, and with a canary's files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from orchestrator.base.errors import ConfigError, StorageError, UsageError
from orchestrator.base.quoting import shown
from orchestrator.git.ownership import remedy
from orchestrator.git.porcelain import prefix_of
from orchestrator.git.process import why_no_answer
from orchestrator.git.work_tree import WorkTree

_GIT_SECONDS = 60.0


def tracked_files(folder: str, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the paths, from ``folder``, of the files below it that git tracks.

    Raises UsageError where there is no repository, or git tracks nothing there.
    """
    try:
        work = WorkTree.around(folder, environ)
        listed = None if work is None else work.start(("ls-files", "-z", "--full-name"), folder).answer(_GIT_SECONDS)
    except OSError as error:  # TimeoutError is one
        why = why_no_answer(error)
        raise UsageError(
            f"a canary is planted into a copy of tracked files, and {why}", hint=remedy(why), code="no-repository"
        ) from error
    if work is None or listed is None or listed.code != 0:
        raise UsageError(
            f"{folder} is in no repository that git can read: a canary is planted into a copy of its tracked files",
            hint="git init, and commit the project",
            code="no-repository",
        )
    prefix = prefix_of(work.top, folder)
    paths = tuple(dict.fromkeys(path.removeprefix(prefix) for path in listed.output.split(b"\0") if path))
    if not paths:
        raise UsageError(f"git tracks no file below {folder}", hint="git add, then prove", code="no-repository")
    return paths


@contextmanager
def copies(
    folder: str, environ: Mapping[str, str], plants: Mapping[str, Mapping[str, str]], place: str
) -> Iterator[dict[str, str]]:
    """Make a copy of the tracked files below ``folder`` for each stage of ``plants``, and remove them at the end.

    ``plants`` has the files (path → text) of each stage's canary, ``place`` names the entry of the config in
    messages. Raises UsageError, ConfigError for a file that can't be planted, and StorageError.
    """
    import tempfile

    paths = tracked_files(folder, environ)
    with ExitStack() as stack:
        try:
            temporary = tempfile.TemporaryDirectory(prefix="codex-canary-", ignore_cleanup_errors=True)
            above = stack.enter_context(temporary)
            made = {}
            for number, (stage, plant) in enumerate(plants.items()):
                copy = os.path.join(os.path.realpath(above), str(number), os.path.basename(os.path.realpath(folder)))
                os.makedirs(copy)
                _copy(folder, copy, paths)
                for path, text in plant.items():
                    _plant(copy, path, text, place)
                made[stage] = copy
        except OSError as error:
            raise StorageError(
                f"the project can't be copied for its canaries: {error.strerror} ({error.filename})", code="no-copy"
            ) from error
        yield made


def _copy(folder: str, copy: str, paths: Sequence[bytes]) -> None:
    source, target = os.fsencode(folder), os.fsencode(copy)
    for path in paths:
        there, here = os.path.join(source, path), os.path.join(target, path)
        try:
            mode = os.lstat(there).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue  # it is deleted on disk: the tree is taken as it is
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            continue
        os.makedirs(os.path.dirname(here), exist_ok=True)
        shutil.copy2(there, here, follow_symlinks=False)


def _plant(copy: str, path: str, text: str, place: str) -> None:
    """Write a file into a copy. What stands in its way is refused: through a link it would land elsewhere."""
    parts = path.split("/")
    for end in range(1, len(parts)):
        above = os.path.join(copy, *parts[:end])
        if os.path.lexists(above) and (os.path.islink(above) or not os.path.isdir(above)):
            why = f"{shown('/'.join(parts[:end]))} is a link or a file, through which it would leave the copy"
            raise ConfigError([f"{place}: {shown(path)} can't be planted: {why}"])
    target = os.path.join(copy, *parts)
    if os.path.isdir(target) and not os.path.islink(target):
        raise ConfigError([f"{place}: {shown(path)} can't be planted: it is a folder"])
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(target):
        os.unlink(target)
    with open(target, "w", encoding="utf-8", newline="") as file:
        file.write(text)
