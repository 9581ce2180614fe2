"""What a project asks of reviews at the base commit: what a change may not grant itself (contract, section 7)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.config.guardrail_policy import ALWAYS_BOUND
from orchestrator.model.accounts import Signed
from orchestrator.model.review_policy import ReviewPolicy, policy_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.checks.spec_guard.repository import Git

_LINK = "120000"


class GrantedPolicy(Record):
    """The policy that holds, and the content of its allowed_signers; ``fault`` says why they are not known.

    ``not_yet`` says what the config grants and the base commit does not, empty where there is nothing of it.
    """

    policy: ReviewPolicy
    signers: bytes | None = None
    fault: str | None = None
    not_yet: str = ""


def with_base(root: str, project: str, policy: ReviewPolicy, environ: Mapping[str, str]) -> GrantedPolicy:
    """Return the policy with what only the base commit grants: ``alone``, ``signers``, and signatures that may lack.

    The base is the spec guard's, as the default one's config names it (a change that names one itself moves nothing);
    of a root commit it is that commit itself. Where there is none, nothing is granted.
    """
    if not (policy.alone or policy.signers or policy.signed):
        return GrantedPolicy(policy)
    from orchestrator.checks.spec_guard.repository import system_git

    git = system_git(environ)(root)
    commit = _base_commit(git, project, environ)
    asked = None if commit is None else _policy_at(git, commit, project)
    if commit is None or asked is None:
        # Nothing is granted that the base does not grant; what is asked for besides stands.
        fault = "no base commit has the allowed_signers that signed reviews need" if policy.signed else None
        not_yet = "no base commit has this [review]: what it grants counts from the commit after it on"
        return GrantedPolicy(policy._replace(alone=False), fault=fault, not_yet=not_yet)
    held = policy._replace(
        alone=policy.alone and asked.alone, signed=policy.signed or asked.signed, signers=asked.signers
    )
    at = f"at the base commit {commit[:12]}"
    not_yet = f"'review.alone' is not set {at}: it counts from the next commit on" if policy.alone > asked.alone else ""
    if asked.signers is None:
        what = f"'review.signers' is not set {at}: it counts from the next commit on"
        is_due = not_yet == "" and policy.signers is not None
        return GrantedPolicy(held, fault=what if held.signed else None, not_yet=what if is_due else not_yet)
    signers = _regular_file(git, commit, asked.signers)
    if signers is None:
        what = f"'{asked.signers}' is no regular file {at}"
        return GrantedPolicy(held, fault=what, not_yet=not_yet or what)
    return GrantedPolicy(held, signers.encode("utf-8", "surrogateescape"), not_yet=not_yet)


def _base_commit(git: Git, project: str, environ: Mapping[str, str]) -> str | None:
    from orchestrator.checks.spec_guard.bases import find_base, named_base
    from orchestrator.config.committed import configured_base

    wanted, _ = named_base(environ.get("BASE_SHA", ""), None)
    base = find_base(git, wanted, lambda: True)
    if base.is_root or base.commit is None or wanted.reference:
        return "HEAD" if base.is_root else base.commit
    config = _regular_file(git, base.commit, f"{CONFIG_FOLDER}/{project}.toml")
    rule = None if config is None else configured_base(config.encode("utf-8", "surrogateescape"), ALWAYS_BOUND)
    found = base if rule is None else find_base(git, named_base("", rule)[0], lambda: True)
    return base.commit if found.commit is None or found.is_root else found.commit


def _policy_at(git: Git, commit: str, project: str) -> ReviewPolicy | None:
    import tomllib

    text = _regular_file(git, commit, f"{CONFIG_FOLDER}/{project}.toml")
    try:
        return None if text is None else policy_of(tomllib.loads(text))
    except ValueError:
        return None


def _regular_file(git: Git, commit: str, path: str) -> str | None:
    """Return a file of a commit, by its path from the workspace; None where there is none, or a link."""
    place = os.path.normpath(path)
    entry = git(["ls-tree", "-z", commit, f"./{place}"])
    mode, _, rest = entry.stdout.partition(" ")
    if entry.code != 0 or mode == _LINK or not rest.startswith("blob "):
        return None
    found = git(["cat-file", "blob", rest.split()[1].partition("\t")[0]])
    return found.stdout if found.code == 0 else None


def signers_of(
    run_id: str, entries: Sequence[Mapping[str, Any]], allowed: bytes | None, environ: Mapping[str, str]
) -> tuple[Signed | None, ...]:
    """Return, for each decision, whose signature it has: None where it has none that counts."""
    if allowed is None or not any(entry.get("signature") for entry in entries):
        return ()
    from orchestrator.checks.signatures import signer_of

    found = (signer_of(run_id, entry, allowed, environ) for entry in entries)
    return tuple(None if isinstance(one, str) else one for one in found)
