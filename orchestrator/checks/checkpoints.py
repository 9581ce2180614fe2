"""Checkpoints: the newest line of each task's chain as a commit of a ref of its own, so that a remote can witness it.

``refs/codex-orchestrator/checkpoints/<task>/<chain>``, where ``<chain>`` is the sha256 of the chain's first line: each
machine's chain has its own. Each commit holds one file, ``checkpoint.json``, and has the checkpoint before as its
parent, so that a ref goes forward only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from orchestrator.base.errors import DamagedRecord, GateNotMet, Refusal, UsageError
from orchestrator.base.finding import Finding
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.git.user_git import GitRun

REFS = "refs/codex-orchestrator/checkpoints"
WITNESS_REFS = "refs/codex-orchestrator/witness"
FILE = "checkpoint.json"
_IDENTITY = {f"GIT_{who}_{what}": "codex-orchestrator" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Head(Record):
    """The newest line of a task's chain: its number from 1, its sha256 and time, and which chain it is of."""

    task: str
    chain: str
    number: Count
    digest: str
    recorded_at: str | None
    host: str
    folder: str

    @property
    def ref(self) -> str:
        """The ref that holds the chain's checkpoints."""
        return f"{REFS}/{self.task}/{self.chain}"

    def as_json(self) -> dict[str, Any]:
        """Return what the checkpoint holds; host and folder are digests."""
        return {key: getattr(self, key) for key in self._fields}


def head_of(task: str, lines: Iterator[bytes], host: str, folder: str) -> Head | None:
    """Return the head of a chain, None where it has no line. ``host`` and ``folder`` are names, not digests."""
    chain, number, last = "", 0, b""
    for last in lines:
        number += 1
        chain = chain or sha256(last).hexdigest()
    if not number:
        return None
    try:
        recorded_at = json.loads(last).get("recorded_at")
    except (ValueError, AttributeError):
        recorded_at = None
    names = (sha256(host.encode()).hexdigest(), sha256(folder.encode("utf-8", "surrogateescape")).hexdigest())
    return Head(task, chain, number, sha256(last).hexdigest(), recorded_at, *names)


def read_checkpoint(git: GitRun, commit: str) -> Head | None:
    """Return what a checkpoint's commit holds, None where it is no checkpoint."""
    code, output, _ = git(["cat-file", "blob", f"{commit}:{FILE}"], b"", {})
    return _head_in(output) if code == 0 else None


def _head_in(text: str) -> Head | None:
    try:
        return Head.from_json(json.loads(text))
    except (ValueError, RecursionError, DamagedRecord):
        return None


def history_of(git: GitRun, ref: str) -> list[Head | None]:
    """Return what each commit of a ref holds, the newest first; None for one that is no checkpoint.

    All of them are asked: a commit on top may say less than those below it.
    """
    code, output, _ = git(["rev-list", "--end-of-options", ref, "--"], b"", {})
    commits = output.split() if code == 0 else []
    if not commits:
        return [None]
    asked = "".join(f"{commit}:{FILE}\n" for commit in commits)
    _, output, _ = git(["cat-file", "--batch"], asked.encode(), {})
    found: list[Head | None] = []
    rest = os.fsencode(output)
    for _ in commits:
        header, _, rest = rest.partition(b"\n")
        words = header.split()
        if len(words) != len(("object", "type", "size")) or not words[2].isdigit():
            found.append(None)  # "… missing"
            continue
        size = int(words[2])
        found.append(_head_in(os.fsdecode(rest[:size])) if words[1] == b"blob" else None)
        rest = rest[size + 1 :]
    return found


def write_checkpoint(git: GitRun, head: Head, has_line: Callable[[int, str], bool]) -> bool:
    """Put ``head`` behind its ref's last checkpoint; False when it is there already.

    Raises GateNotMet's kind ``chain-rewound`` when the chain is no extension of the last checkpoint, and UsageError
    where git refuses.
    """
    code, parent, _ = git(["rev-parse", "--verify", "--quiet", head.ref], b"", {})
    parent = parent.strip() if code == 0 else ""
    if parent:
        before = read_checkpoint(git, parent)
        if before is None or before.ref != head.ref:
            raise GateNotMet(
                f"'{head.ref}' holds no checkpoint of its chain",
                hint=f"git log {head.ref}",
                code="checkpoint-unreadable",
            )
        if (before.number, before.digest) == (head.number, head.digest):
            return False
        if not has_line(before.number, before.digest):
            raise _rewound(head.task, before)
    content = (json.dumps(head.as_json(), indent=2) + "\n").encode()
    blob = _made(git, ["hash-object", "-w", "--stdin"], content)
    tree = _made(git, ["mktree"], f"100644 blob {blob}\t{FILE}\n".encode())
    words = ["commit-tree", tree, "-m", f"{head.task}: line {head.number}", *(("-p", parent) if parent else ())]
    commit = _made(git, words, b"", _IDENTITY)
    _made(git, ["update-ref", head.ref, commit, parent or "0" * len(commit)], b"")
    return True


def _made(git: GitRun, words: Sequence[str], data: bytes, names: Mapping[str, str] | None = None) -> str:
    code, output, complaint = git(words, data, names or {})
    if code != 0:
        raise UsageError(f"git {words[0]} failed: {complaint.strip() or code}", code="git-failed")
    return output.strip()


def _rewound(task: str, before: Head) -> Refusal:
    return GateNotMet(
        f"the chain of task '{task}' is no extension of its checkpoint: line {before.number} is gone, or another",
        hint="codex-orchestrator verify --all",
        code="chain-rewound",
    )


def witness_findings(
    refs: Iterable[tuple[str, Sequence[Head | None]]],
    lines_of: Callable[[str, str], Sequence[str] | None],
    host: str,
    folder: str,
) -> Iterator[Finding]:
    """Yield what the checkpoints of a witness (ref and history) say otherwise than the chains that are here.

    ``lines_of`` returns the digests of the lines of a task's chain (task, chain), None when no such chain is here.
    A chain of another host or folder is not expected here.
    """
    digests = (sha256(host.encode()).hexdigest(), sha256(folder.encode("utf-8", "surrogateescape")).hexdigest())
    for ref, history in refs:
        heads = [head for head in history if head is not None and head.ref == ref]
        if len(heads) < len(history):
            what = f"{len(history) - len(heads)} of its {len(history)} commits hold no checkpoint of this chain"
            yield Finding("checkpoint-unreadable", ref, what)
        if not heads:
            continue
        highest = max(heads, key=lambda head: head.number)
        lines = lines_of(highest.task, highest.chain)
        if lines is None:
            if any((head.host, head.folder) == digests for head in heads):
                count = f"the witness has {highest.number} lines of task '{highest.task}'"
                yield Finding("chain-gone", ref, f"{count} of this host and folder; the chain is gone")
            continue
        differs = [head for head in heads if not 0 < head.number <= len(lines) or lines[head.number - 1] != head.digest]
        if differs:
            what = f"the witness has line {differs[0].number} of task '{highest.task}'"
            yield Finding("chain-rewound", ref, f"{what}, and the chain here is no extension of it")
