"""Reports of bugs in this program: a file that says enough to repair it, and holds no secret."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

from orchestrator import __version__
from orchestrator.base.files import Folder, Seam
from orchestrator.base.identifiers import make_run_id
from orchestrator.base.redaction import MASK, Redactor, looks_secret, secret_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.commands.context import Context

REPORTS = ".reports"
"""Below the runs folder; no task can have this name."""

REPORTS_KEPT = 20
"""The newest ones: a poller that meets the same bug all night must not fill the disk."""

_PACKAGES = ("invoke", "nox", "pydantic", "jsonschema", "portalocker", "rich")


def write_report(error: BaseException, words: Sequence[str], context: Context | None) -> str:
    """Write a report about ``error`` and return its path: below the runs folder, else in the temporary folder.

    ``words`` is the command line, ``context`` None when it is not even known where the command was called.
    Raises OSError or Refusal only when no file can be written at all.
    """
    environ = context.environ if context is not None else os.environ
    text = describe(error, words, environ)
    data = text.encode("utf-8", "backslashreplace")
    try:
        if context is not None:
            return _below_runs(context, data)
    except Exception as failed:  # what is broken may be the very thing that reports need
        data += f"\nnot kept in the workspace: {type(failed).__name__}\n".encode()
    return _temporary(data)


def describe(error: BaseException, words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the report's text, with the values of secrets taken out: those of the environment and of options."""
    import traceback

    shown, secrets = masked_words(words)
    text = "\n".join(
        [
            *_versions(),
            f"words: {shown!r}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    return Redactor([*secret_values(environ), *secrets]).text(text)


def masked_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the command line without the values of options that look secret, and these values.

    ``--token x``, ``--token=x`` and ``--override API_KEY=x`` are masked.
    """
    shown: list[str] = []
    secrets: list[str] = []
    expected = False
    for word in words:
        parts = word.split("=")
        at = next((at for at, part in enumerate(parts) if looks_secret(part.strip("-").replace("-", "_"))), None)
        if expected:
            secrets.append(word)
            shown.append(MASK)
            expected = False
        elif at is not None and at + 1 < len(parts):
            secrets.append("=".join(parts[at + 1 :]))
            shown.append("=".join([*parts[: at + 1], MASK]))
        else:
            expected = at is not None and word.startswith("--")
            shown.append(word)
    return shown, secrets


def _versions() -> list[str]:
    import platform
    from importlib import metadata

    lines = [f"codex-orchestrator {__version__}", f"Python {platform.python_version()}", platform.platform()]
    for package in _PACKAGES:
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package} is missing")
    return lines


def _below_runs(context: Context, data: bytes) -> str:
    """Write below the runs folder of the workspace, through no link."""
    workspace = context.workspace()
    name = f"bug-{make_run_id(context.clock.now(), os.urandom(4))}.txt"
    with Folder.at(workspace.runs_dir, Seam(), create=True) as runs, runs.sub(REPORTS, create=True) as reports:
        reports.create(name, data, mode=0o600)
        for old in sorted(known for known in reports.names() if known.startswith("bug-"))[:-REPORTS_KEPT]:
            with contextlib.suppress(FileNotFoundError):
                reports.remove(old)
    return workspace.shown(os.path.join(workspace.runs_dir, REPORTS, name))


def _temporary(data: bytes) -> str:
    import tempfile

    fd, path = tempfile.mkstemp(prefix="codex-orchestrator-bug-", suffix=".txt")
    with open(fd, "wb") as file:
        file.write(data)
    return path
