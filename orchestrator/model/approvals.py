"""Whether a review still counts: an approval is bound to the attempt, the record and the tree that were approved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.base.person_names import forms_of
from orchestrator.base.record import Record
from orchestrator.model.accounts import Person, Signed, account_of, distinct, is_same, people_of
from orchestrator.model.manifest.manifest import manifest_digest
from orchestrator.model.review_policy import ReviewPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

APPROVE, REQUEST_CHANGES, COMMENT = "approve", "request-changes", "comment"
DECISIONS = (APPROVE, REQUEST_CHANGES, COMMENT)

State: TypeAlias = (
    "Literal['valid', 'superseded', 'unbound', 'stale-attempt', 'stale-record', 'stale-tree', 'own-run', 'unsigned']"
)
TreeWord: TypeAlias = "Literal['same', 'moved', 'unknown']"

ALONE = "approved by the run's own actor (the project's config allows it)"
REASON_CODES = frozenset(
    {"approval-missing", "approval-role-missing", "approval-stale", "approval-own-run", "changes-requested"}
    | {"policy-softened"}
)
"""The codes of ``ready.reasons`` that only reviews can bring or take away."""


class Subject(Record):
    """What is reviewed: a run's attempt, its manifest digest, the people who ran it, and its tree then and now.

    ``tree`` is None where no digest was recorded; ``moved`` says how the current tree compares with it. ``signed``
    has, for each review, whose signature it has; empty where nobody looked.
    """

    attempt: int
    digest: str
    people: tuple[Person, ...]
    tree: str | None
    moved: TreeWord = "unknown"
    signed: tuple[Signed | None, ...] = ()


class Validity(Record):
    """Whether one review counts, and why, or why not; a request for changes that is valid stands."""

    state: State
    reason: str
    signer: Signed | None = None

    def as_json(self) -> dict[str, str]:
        """Return the document of it."""
        by = {} if self.signer is None else {"signer": self.signer.principal, "key": self.signer.key}
        return {"state": self.state, "reason": self.reason, **by}


class ReviewContext(Record):
    """What a run is judged by and is not in its record.

    ``fault`` says why the project's policy is not known (then ``policy`` is the default one); ``tree`` is the
    project's current tree (``git.Capture.finish_tree``), None when nobody looked; ``approved_run`` is
    the run whose plan was approved last for this pipeline, ``drift`` how this run's plan differs from it.
    """

    policy: ReviewPolicy = ReviewPolicy()
    fault: str | None = None
    tree: Mapping[str, Any] | None = None
    approved_run: str | None = None
    drift: tuple[str, ...] = ()
    signed: tuple[Signed | None, ...] = ()


def subject_of(
    record: Mapping[str, Any], moved: TreeWord = "unknown", signed: tuple[Signed | None, ...] = ()
) -> Subject:
    """Return the subject of reviews of a run, by its manifest (version 2)."""
    last = record["provenance"][-1] if record["provenance"] else {}
    return Subject(
        record["attempt"], manifest_digest(record), people_of(record), last.get("tree_digest"), moved, signed
    )


def tree_word(then: str | None, now: str | None) -> TreeWord:
    """Tell how two digests of a tree compare; one that is not known says nothing."""
    if then is None or now is None:
        return "unknown"
    return "same" if then == now else "moved"


def freshness(record: Mapping[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return whether the project's tree still equals what the last attempt ran on, with both (docs/status.md)."""
    then = record["provenance"][-1] if record["provenance"] else {}
    keys = ("commit", "branch", "dirty", "tree_digest")
    word = tree_word(then.get("tree_digest"), (now or {}).get("tree_digest"))
    if now is not None and (then.get("dirty") is None) != (now.get("dirty") is None):
        word = "unknown"  # git answered one time only: a digest without it is of other files, ignored ones too
    return {
        "tree": word,
        "then": {key: then.get(key) for key in keys},
        "now": None if now is None else {key: now.get(key) for key in keys},
        "note": None if now is None else now.get("note"),
    }


def validities(
    entries: Sequence[Mapping[str, Any]], subject: Subject | None, policy: ReviewPolicy
) -> tuple[Validity, ...]:
    """Return the validity of each of a run's reviews, in their order; no ``subject``: a record of version 1.

    A later decision of the same person supersedes an earlier one, except that approvals in different
    roles stand beside each other. Comments decide nothing. A request for changes stands, whatever the
    run does, until who made it decides otherwise.
    """
    signed = subject.signed if subject is not None else ()
    return tuple(
        _validity(entry, entries[index + 1 :], subject, policy, signed[index] if index < len(signed) else None)
        for index, entry in enumerate(entries)
    )


def _validity(
    entry: Mapping[str, Any],
    later: Iterable[Mapping[str, Any]],
    subject: Subject | None,
    policy: ReviewPolicy,
    signer: Signed | None,
) -> Validity:
    decision = entry.get("decision")
    if subject is None or decision not in DECISIONS or not isinstance(entry.get("actor"), str):
        return Validity("unbound", "it does not say which attempt and which record it is about")
    if decision == COMMENT:
        return Validity("valid", "")
    after = next((item for item in later if _supersedes(item, entry)), None)
    if after is not None:
        return Validity("superseded", f"{entry['actor']} decided otherwise later: {after['decision']}")
    if decision == REQUEST_CHANGES:
        return Validity("valid", "")
    return _approval(entry, subject, policy, signer)


def _supersedes(later: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if later.get("decision") not in (APPROVE, REQUEST_CHANGES) or not isinstance(later.get("actor"), str):
        return False
    if not is_same(person_of(later), person_of(entry)):
        return False
    both = later["decision"] == entry["decision"] == APPROVE
    return not both or later.get("role") == entry.get("role")


def _approval(entry: Mapping[str, Any], subject: Subject, policy: ReviewPolicy, signer: Signed | None) -> Validity:
    if entry.get("attempt") != subject.attempt:
        said = f"it is of attempt {entry.get('attempt')}; the run is at attempt {subject.attempt}"
        return Validity("stale-attempt", said)
    if entry.get("manifest_digest") != subject.digest:
        return Validity("stale-record", "the record is not the one that was approved")
    if policy.signed and signer is None:
        return Validity("unsigned", "the project counts approvals by a key of its signers only")
    if signer is not None:  # who signs is whom the key belongs to, whatever account it was used from
        own = not is_nobody_of(signer, subject.people)
    else:
        own = entry.get("own_run") is True or any(is_same(person_of(entry), person) for person in subject.people)
    if own and not policy.alone:
        return Validity("own-run", f"{entry['actor']} ran it, and the project's config has no 'review.alone'")
    if policy.stale_when_tree_moves and subject.moved != "same":
        said = "has moved on" if subject.moved == "moved" else "can't be compared with the one that was approved"
        return Validity("stale-tree", f"the project's tree {said}")
    if signer is not None:
        return Validity("valid", f"signed by {signer.principal}", signer)
    return Validity("valid", ALONE if own else _entered_by(entry, subject))


def _entered_by(entry: Mapping[str, Any], subject: Subject) -> str:
    by = entry.get("recorded_by")
    if not isinstance(by, str) or not any(forms_of(by) & person.given for person in subject.people):
        return ""
    return f"entered by {by}, who ran it"


def person_of(entry: Mapping[str, Any]) -> Person:
    """Return who made a decision: the account that it was recorded from, and the name that was given."""
    validity = entry.get("validity")
    key, signer = (
        (str(validity.get(name) or "") for name in ("key", "signer")) if isinstance(validity, Mapping) else ("", "")
    )
    return Person(account_of(entry.get("account")), forms_of(str(entry.get("actor"))), key, signer)


def is_nobody_of(signer: Signed, people: Iterable[Person]) -> bool:
    """Tell whether a key belongs to somebody who is none of the ``people``, whatever account signed with it."""
    owner = Person(None, forms_of(signer.principal).union(*map(forms_of, signer.also)))
    return not any(is_same(owner, person) for person in people)


def reasons(entries: Sequence[Mapping[str, Any]], policy: ReviewPolicy) -> Iterator[tuple[str, str]]:
    """Yield the code and message of what reviews leave open; each entry has its ``validity`` as a document."""
    good = [entry for entry in entries if entry.get("decision") == APPROVE and entry["validity"]["state"] == "valid"]
    people = distinct(person_of(entry) for entry in good)
    lacking = people < policy.approvals
    if lacking:
        several = f", since {len(good)} are of {people} {'account' if people == 1 else 'accounts'}"
        yield (
            "approval-missing",
            f"{people} of {policy.approvals} approvals{several if people < len({e['actor'] for e in good}) else ''}",
        )
    for role in policy.roles:
        if all(entry.get("role") != role for entry in good):
            lacking = True
            yield "approval-role-missing", f"nobody approved in the role '{role}'"
    for entry in entries:
        state, why = entry["validity"]["state"], entry["validity"]["reason"]
        if entry.get("decision") == REQUEST_CHANGES and state == "valid":
            reason = f": {entry['reason']}" if entry.get("reason") else ""
            yield "changes-requested", f"{entry['actor']} asks for changes{reason}"
        elif entry.get("decision") == APPROVE and (lacking or not good) and state not in ("valid", "superseded"):
            code = "approval-own-run" if state == "own-run" else "approval-stale"
            yield code, f"the approval by {entry.get('actor')} does not count: {why}"
