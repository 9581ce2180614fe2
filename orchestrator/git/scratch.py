"""A repository whose files git may write: one made for the purpose, never the user's own.

``git.process`` looks and writes nothing. Here a snapshot is packed from a temporary repository that borrows the user's
objects, and unpacked into a folder that belongs to the program.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable, Mapping

from orchestrator.base.record import Record
from orchestrator.git.environment import OPTIONS, git_environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

RAW_ATTRIBUTES = "* -text -ident -filter !eol !working-tree-encoding\n"
"""In ``info/attributes`` they beat a tree's own (gitattributes(5)): blobs are the bytes on disk, and the other way."""

_NAMES = ("-c", "core.protectNTFS=false", "-c", "core.protectHFS=false")
"""Names that other systems would misread are names here, as they were to the git that committed them."""

_NO_SPACE = (b"No space left on device", b"Disk quota exceeded")


class GitFailed(OSError):  # noqa: N818 - named by what happened, as in errors
    """A git that writes did not succeed; the text is the first lines that it said."""


class Scratch(Record):
    """A repository in ``folder`` with its files at ``top``; ``settings`` are names and values that hold besides."""

    folder: str
    top: str
    environ: Mapping[str, str]
    settings: tuple[tuple[str, str], ...] = ()

    def run(
        self, *command: str, given: bytes | IO[bytes] = b"", output: IO[bytes] | None = None, timeout: float = 600.0
    ) -> bytes:
        """Return what git prints, or nothing when it goes to ``output``; ``given`` is its input.

        Raises GitFailed when git ends otherwise than by 0 or takes longer than ``timeout`` seconds (``errno`` is
        ``ENOSPC`` where the disk is full), and OSError when it can't be started.
        """
        words = ("git", *OPTIONS, *_NAMES, "-C", self.top, f"--git-dir={self.folder}", f"--work-tree={self.top}")
        fed: dict[str, Any] = {"input": given} if isinstance(given, bytes) else {"stdin": given}
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(
                (*words, *command),
                env=git_environ(self.environ, self.settings),
                stdout=subprocess.PIPE if output is None else output,
                stderr=subprocess.PIPE,
                timeout=timeout,
                check=False,
                **fed,
            )
        except FileNotFoundError as error:
            raise GitFailed(errno.ENOENT, "git is not installed, or its folder is gone") from error
        except subprocess.TimeoutExpired as error:
            raise GitFailed(errno.ETIMEDOUT, f"git {command[0]} took longer than {timeout:g} s") from error
        if done.returncode:
            said = " / ".join(done.stderr.decode("utf-8", "replace").strip().splitlines()[:3])[:400]
            is_full = any(text in done.stderr for text in _NO_SPACE)
            number = errno.ENOSPC if is_full else errno.EIO
            raise GitFailed(number, f"git {command[0]} ended with {done.returncode}: {said or 'no cause given'}")
        return done.stdout or b""


def make_scratch(
    folder: str,
    top: str,
    environ: Mapping[str, str],
    *,
    object_format: str = "sha1",
    settings: Iterable[tuple[str, str]] = (),
    borrowed: str | None = None,
) -> Scratch:
    """Make an empty repository in ``folder``, which does not exist yet, and return it.

    ``borrowed`` is a folder of objects that count as its own (gitrepository-layout(5), "alternates"); its
    ``info/attributes`` convert nothing (``RAW_ATTRIBUTES``). Raises OSError.
    """
    for name in ("", "info", "objects", "objects/info", "objects/pack", "refs", "refs/heads"):
        os.mkdir(os.path.join(folder, name), 0o700)
    version = f"[core]\n\trepositoryformatversion = {int(object_format != 'sha1')}\n\tbare = false\n"
    if object_format != "sha1":
        version += f"[extensions]\n\tobjectFormat = {object_format}\n"
    write_text(folder, "config", version)
    write_text(folder, "HEAD", "ref: refs/heads/snapshot\n")
    write_text(folder, "info/attributes", RAW_ATTRIBUTES)
    if borrowed is not None:
        write_text(folder, "objects/info/alternates", _quoted(os.fsencode(borrowed)) + "\n")
    return Scratch(folder, top, environ, tuple(settings))


def write_text(folder: str, name: str, text: str) -> None:
    """Write a small file of a repository. Raises OSError."""
    with open(os.path.join(folder, name), "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.write(text)


def _quoted(path: bytes) -> str:
    """Return a path as git reads it from a file of paths: in quotes, with escapes for all that is not plain."""
    plain = (chr(code) if 32 <= code < 127 and code not in (34, 92) else f"\\{code:03o}" for code in path)
    return f'"{"".join(plain)}"'
