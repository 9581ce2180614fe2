"""Signed decisions, as git signs commits: ``ssh-keygen -Y`` over a canonical statement, and OpenSSH's allowed_signers.

The namespace keeps a signature of something else from being taken for one of ours (ssh-keygen(1), "-n namespace").
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
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
_PRINCIPALS = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s#"]\S*))\s')
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
        if key.startswith("key::") or _is_key_type(key):
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
        shown = found.stdout.decode("utf-8", "replace").splitlines()
        # ssh-keygen names the first line's; the same key may stand in others.
        lines = _lines_of(allowed, _key_in(signature)) or ([shown] if shown else [])
        if found.returncode != 0 or not lines:
            return "its key is not one of the signers, or not at that time"
        owner = _one_owner(lines)
        if owner is None:
            named = dict.fromkeys(name for line in lines for name in line)
            return f"its key is that of several signers: {', '.join(named)}"
        if any(character in name for name in owner for character in "*?!"):
            return f"its line in the list of signers names nobody: {', '.join(owner)} is a pattern"
        words = ["verify", *when, "-f", names[0], "-I", owner[0], "-n", NAMESPACE, "-s", names[1]]
        done = _run(words, statement_of(run_id, entry), environ)
    good = _GOOD.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0 or good is None:
        why = done.stderr.decode("utf-8", "replace")
        if any(word in why for word in ("not permitted for use", "expired", "not yet valid")):
            return "its key is not one of the signers for this, or not at that time"
        return "its signature is of another decision"
    return Signed(owner[0], good["key"], tuple(owner[1:]))


def allowed_key(listed: Sequence[str], allowed: bytes | None) -> str | None:
    """Return the one of an agent's keys that stands in ``allowed``, or the only one without such a file; else None."""
    known = [key for key in listed if allowed is None or _lines_of(allowed, key.split()[1])]
    return known[0] if len(known) == 1 else None


def agent_keys(environ: Mapping[str, str]) -> list[str]:
    """Return the public keys that ssh-agent has, as ``type base64 comment``; none where there is no agent."""
    if not environ.get("SSH_AUTH_SOCK"):
        return []
    lines = _called(["ssh-add", "-L"], b"", environ).stdout.decode("utf-8", "replace").splitlines()
    return [line for line in lines if len(line.split()) > 1 and _is_key_type(line.split()[0])]


def is_ssh_key(key: str) -> bool:
    """Tell whether ``user.signingkey`` names a key of ssh: a public key, or a file; an OpenPGP id is none."""
    return _is_key_type(key.removeprefix("key::")) or os.path.exists(os.path.expanduser(key))


def _is_key_type(text: str) -> bool:
    return text.startswith(("ssh-", "ecdsa-", "sk-"))


def _key_in(signature: str) -> str:
    """Return the public key (base64) of an armored signature (OpenSSH's PROTOCOL.sshsig); empty when it has none."""
    body = "".join(line for line in signature.splitlines() if not line.startswith("-----"))
    try:
        blob = b64decode(body)
    except ValueError:
        return ""
    size = int.from_bytes(blob[10:14], "big")  # behind "SSHSIG" and the version
    return b64encode(blob[14 : 14 + size]).decode()


def _lines_of(allowed: bytes, key: str) -> list[list[str]]:
    """Return the principals of each line of allowed_signers that has the key (ssh-keygen(1), "ALLOWED SIGNERS")."""
    found = []
    for line in allowed.decode("utf-8", "replace").splitlines():
        written = _PRINCIPALS.match(line)
        if written is not None and key and key in line[written.end() :].split():
            found.append([name for name in (written["quoted"] or written["plain"] or "").split(",") if name])
    return [names for names in found if names]


def _one_owner(lines: Sequence[Sequence[str]]) -> list[str] | None:
    """Return the names of the one person whose lines these are: they share a name; None of several people."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    shared = set(lines[0]).intersection(*lines)
    return names if shared else None


def _run(words: Sequence[str], data: bytes, environ: Mapping[str, str]) -> CompletedProcess[bytes]:
    return _called(["ssh-keygen", "-Y", *words], data, environ)


def _called(command: Sequence[str], data: bytes, environ: Mapping[str, str]) -> CompletedProcess[bytes]:
    import subprocess

    kept = {name: environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK", "DISPLAY") if name in environ}
    env = {**kept, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": environ.get("SSH_ASKPASS_REQUIRE", "never")}
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
