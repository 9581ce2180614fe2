"""Signed decisions, as git signs commits: ``ssh-keygen -Y`` over a canonical statement, and OpenSSH's allowed_signers.

The namespace keeps a signature of something else from being taken for one of ours (ssh-keygen(1), "-n namespace").
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager

from orchestrator.base.errors import UsageError
from orchestrator.model.accounts import Signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess
    from typing import Any

NAMESPACE = "codex-orchestrator"
MOST_BYTES = 64 * 1024
_SECONDS = 60
_STATED = ("attempt", "manifest_digest", "tree_digest", "decision", "actor", "role", "timestamp")
_GOOD = re.compile(r'Good "codex-orchestrator" signature .* with \S+ key (?P<key>SHA256:\S+)')


def statement_of(run_id: str, entry: Mapping[str, Any]) -> bytes:
    """Return what is signed of a decision: run, attempt, manifest digest, tree, decision, actor, role and time.

    Its form is RFC 8785's: the values are texts, whole numbers and null.
    """
    stated = {"run_id": run_id, **{key: entry.get(key) for key in _STATED}}
    return json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def sign(statement: bytes, key: str, environ: Mapping[str, str]) -> str:
    """Return the armored signature by ``key``: a file, or ``key::ssh-…``, which an agent has.

    Raises UsageError with what ssh-keygen said.
    """
    with _folder() as folder:
        path, words = key, []
        if key.startswith(("key::", "ssh-", "ecdsa-", "sk-")):
            path = _put(folder, "key.pub", (key.removeprefix("key::") + "\n").encode())
            words = ["-U"]
        done = _run(["sign", *words, "-f", path, "-n", NAMESPACE], statement, environ)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(
            f"the decision can't be signed by '{key}': {said[-1] if said else done.returncode}",
            hint="name a private key by --sign KEY, or load it into ssh-agent",
            code="not-signed",
        )
    return done.stdout.decode("ascii", "replace")


def signer_of(run_id: str, entry: Mapping[str, Any], allowed: bytes, environ: Mapping[str, str]) -> Signed | str:
    """Return whose the signature of a decision is, by the file ``allowed``; in words, why it counts for nobody.

    A key is judged by the decision's time, as git judges a commit's: ``valid-before`` and ``valid-after`` hold.
    """
    signature = entry.get("signature")
    if not isinstance(signature, str) or len(signature) > MOST_BYTES:
        return "it is not signed"
    at = re.sub(r"[^0-9]", "", str(entry.get("timestamp")))[:14]
    when = [f"-Overify-time={at}Z"] if len(at) == 14 else []
    with _folder() as folder:
        names = (_put(folder, "allowed", allowed), _put(folder, "signature", signature.encode("utf-8", "replace")))
        found = _run(["find-principals", *when, "-f", names[0], "-s", names[1]], b"", environ)
        principals = found.stdout.decode("utf-8", "replace").splitlines()
        if found.returncode != 0 or not principals:
            return "its key is not one of the signers, or not at that time"
        if len(principals) > 1:
            return f"its key is that of several signers: {', '.join(principals)}"
        words = ["verify", *when, "-f", names[0], "-I", principals[0], "-n", NAMESPACE, "-s", names[1]]
        done = _run(words, statement_of(run_id, entry), environ)
    good = _GOOD.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0 or good is None:
        return "its signature is of another decision"
    return Signed(principals[0], good["key"])


def _run(words: Sequence[str], data: bytes, environ: Mapping[str, str]) -> CompletedProcess[bytes]:
    import subprocess

    kept = {name: environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK", "DISPLAY") if name in environ}
    env = {**kept, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": environ.get("SSH_ASKPASS_REQUIRE", "never")}
    command = ["ssh-keygen", "-Y", *words]
    try:
        return subprocess.run(command, env=env, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, b"", str(error).encode())


@contextmanager
def _folder() -> Iterator[str]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="codex-orchestrator-") as folder:
        yield folder


def _put(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    with open(path, "wb") as stream:
        stream.write(data)
    return path
