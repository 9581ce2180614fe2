"""A project's config as a commit has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.git.process import GitProcess
from orchestrator.model.builtin_guard import GUARD, option_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GIT_SECONDS = 30.0
_MOST_COMMITS = 500
"""So many changes of one config are looked through, the newest first."""


def config_at(root: str, commit: str, project: str, environ: Mapping[str, str]) -> bytes | None:
    """Return a project's config as the ``commit`` has it, None where it has none or git can't tell."""
    return file_at(root, commit, f"{CONFIG_FOLDER}/{project}.toml", environ)


def file_at(root: str, commit: str, file: str, environ: Mapping[str, str]) -> bytes | None:
    """Return the content of a file, from the workspace's ``root``, as the ``commit`` has it; None as ``config_at``."""
    name = f"{commit}:./{file}"
    try:
        answer = GitProcess.start(root, ("cat-file", "blob", name), environ, paths=None).answer(_GIT_SECONDS)
    except (OSError, TimeoutError):
        return None
    return answer.output if answer.code == 0 else None


class HeadCommit(Record):
    """HEAD's ``commit`` and ``parents``; a config as it is there, and as the first parent has it, None where it is not.

    ``commit`` is empty before the first one.
    """

    commit: str = ""
    parents: tuple[str, ...] = ()
    config: bytes | None = None
    config_before: bytes | None = None


def head_commit(root: str, project: str, environ: Mapping[str, str]) -> HeadCommit:
    """Return HEAD with a project's config there and before, by one git; an empty answer where git can't tell.

    Raises OSError when git can't be started.
    """
    file = f"{CONFIG_FOLDER}/{project}.toml"
    names = ("HEAD^{commit}", f"HEAD:./{file}", f"HEAD^:./{file}")
    asked = "".join(f"{name}\n" for name in names).encode()
    try:
        git = GitProcess.start(root, ("cat-file", "--batch"), environ, paths=None, asked=asked)
        answer = git.answer(_GIT_SECONDS)
    except TimeoutError:
        return HeadCommit()
    objects = list(_objects(answer.output)) if answer.code == 0 else []
    if len(objects) != len(names) or not objects[0][0]:
        return HeadCommit()
    (commit, content), (_, config), (_, config_before) = objects
    parents = (line.removeprefix(b"parent ").decode() for line in _parent_lines(content or b""))
    return HeadCommit(commit, tuple(parents), config, config_before)


def _objects(output: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield id and content of each object that ``git cat-file --batch`` printed; none of one that is missing.

    The content is that of a file or commit. Raises ValueError where that is not what was printed.
    """
    while output:
        head, _, rest = output.partition(b"\n")
        fields = head.rsplit(b" ", 2)
        if len(fields) < 3:  # "NAME missing"
            yield "", None
            output = rest
            continue
        size = int(fields[2])
        yield fields[0].decode(), rest[:size] if fields[1] in (b"blob", b"commit") else None
        output = rest[size + 1 :]


def _parent_lines(commit: bytes) -> Iterator[bytes]:
    """Yield the lines of a commit that name its parents: they follow its tree's."""
    _, *lines = commit.partition(b"\n\n")[0].split(b"\n")
    return takewhile(lambda line: line.startswith(b"parent "), lines)


class ConfigHistory:
    """The configs of a workspace as any commit of its own repository has them, found by their sha256.

    A project may lie in a repository of its own, whose commits hold no config. Each config's history is read once.
    """

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._known: dict[str, dict[str, bytes]] = {}

    def find(self, project: str, digest: str) -> bytes | None:
        """Return the bytes of a project's config with that sha256, None where no commit has them."""
        if project not in self._known:
            self._known[project] = {sha256(data).hexdigest(): data for data in self._versions(project)}
        return self._known[project].get(digest)

    def _versions(self, project: str) -> Iterator[bytes]:
        path = f"{CONFIG_FOLDER}/{project}.toml"
        listing = ("rev-list", "--all", "--objects", "--full-history", f"--max-count={_MOST_COMMITS}")
        listed = self._git(listing, (path,)) or b""
        blobs = [line.partition(b" ") for line in listed.splitlines()]
        for blob, _, name in blobs:
            if name == path.encode() or name.endswith(f"/{path}".encode()):
                data = self._git(("cat-file", "blob", blob.decode("ascii")), None)
                if data is not None:
                    yield data

    def _git(self, command: Sequence[str], paths: Sequence[str] | None) -> bytes | None:
        try:
            answer = GitProcess.start(self._root, command, self._environ, paths=paths).answer(_GIT_SECONDS)
        except (OSError, TimeoutError):
            return None
        return answer.output if answer.code == 0 else None


def configured_base(config: bytes, pipeline: str) -> str | None:
    """Return the base that a config names for the guard of a pipeline, None where it names none or can't be read.

    That is ``--base`` of the guard's stage, else ``[spec_guard] base``.
    """
    if b"base" not in config:
        return None
    import tomllib

    try:
        table = tomllib.loads(config.decode())
    except ValueError:
        return None
    own = _table(table, "spec_guard").get("base")
    found = _base_of_stage(_table(_table(table, "pipelines"), pipeline).get("stages")) or own
    return found if isinstance(found, str) and found.strip() else None


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _base_of_stage(stages: object) -> str | None:
    """Return what ``--base`` of the guard's stage names; a command that is no guard names nothing that counts."""
    for stage in stages if isinstance(stages, list) else ():
        words = stage.get("run") if isinstance(stage, dict) and stage.get("id") == GUARD else None
        if isinstance(words, str):
            import shlex

            with suppress(ValueError):
                words = shlex.split(words)
        if isinstance(words, list):
            return option_in([str(word) for word in words], "--base")
    return None
