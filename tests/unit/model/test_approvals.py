"""Which reviews count: bound to an attempt, a record and a tree, and to somebody else than who ran it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.person_names import escaped, folded, forms_of, unfit
from orchestrator.model.accounts import Account, Person, distinct, given_names, is_same, people_of
from orchestrator.model.approvals import (
    ALONE,
    DECISIONS,
    State,
    Subject,
    TreeWord,
    freshness,
    reasons,
    subject_of,
    tree_word,
    validities,
)
from orchestrator.model.manifest.manifest import Manifest, manifest_digest
from orchestrator.model.review_policy import ReviewPolicy
from orchestrator.report.status_document import status_document
from orchestrator.report.status_text import status_text
from tests.records import START, make_manifest

SUBJECT = Subject(1, "d1", (Person(None, frozenset({"alice"})),), "t1", "same")
NONE = ReviewPolicy()


def entry(actor: str = "bob", decision: str = "approve", **more: Any) -> dict[str, Any]:
    """Return a review of ``SUBJECT``."""
    bound = {"attempt": 1, "manifest_digest": "d1", "commit": "c1", "tree_digest": "t1"}
    return {
        "actor": actor,
        "role": None,
        "timestamp": "2026-11-22T09:00:00.000Z",
        "decision": decision,
        "reason": "",
        "scope": "run",
        "escalation": None,
        "own_run": False,
        "recorded_by": None,
        **bound,
        **more,
    }


def states(*entries: Mapping[str, Any], subject: Subject | None = SUBJECT, policy: ReviewPolicy = NONE) -> list[State]:
    """Return the states of reviews."""
    return [validity.state for validity in validities(entries, subject, policy)]


def open_codes(*entries: Mapping[str, Any], policy: ReviewPolicy = NONE, subject: Subject = SUBJECT) -> list[str]:
    """Return the codes of what the reviews leave open."""
    judged = validities(entries, subject, policy)
    shown = [{**item, "validity": found.as_json()} for item, found in zip(entries, judged, strict=True)]
    return [code for code, _ in reasons(shown, policy)]


@pytest.mark.parametrize(
    ("review", "state"),
    [
        (entry(), "valid"),
        (entry(attempt=2), "stale-attempt"),
        (entry(manifest_digest="d2"), "stale-record"),
        (entry("ALICE "), "own-run"),
        (entry("bob", own_run=True), "own-run"),
        ({"actor": "bob", "timestamp": "x", "justification": "fine"}, "unbound"),
        (entry(decision="aprove"), "unbound"),
        ({**entry(), "actor": 3}, "unbound"),
        (entry(attempt=None, manifest_digest=None), "stale-attempt"),
        (entry("alice", "request-changes"), "valid"),
        (entry(decision="comment", attempt=7), "valid"),
    ],
)
def test_an_approval_is_bound_to_what_was_approved(review: Mapping[str, Any], state: State) -> None:
    """Another attempt, another record, the run's own actor or no binding at all: it does not count."""
    assert states(review) == [state]


def test_nothing_counts_for_a_record_of_version_1() -> None:
    """Its approvals are bound to nothing."""
    assert states(entry(), subject=None) == ["unbound"]


def test_later_decisions_supersede_earlier_ones_of_the_same_person() -> None:
    """Comments and other people change nothing; approvals in different roles stand beside each other."""
    assert states(entry(), entry("Bob", "request-changes")) == ["superseded", "valid"]
    assert states(entry(decision="request-changes"), entry(role="security")) == ["superseded", "valid"]
    assert states(entry(), entry()) == ["superseded", "valid"]
    assert states(entry(), entry(role="security")) == ["valid", "valid"]
    assert states(entry(), entry(decision="comment"), entry("carl", "request-changes")) == ["valid"] * 3


def test_who_works_alone_may_approve_where_the_project_says_so() -> None:
    """It counts, and says that it is the run's own actor's."""
    (found,) = validities([entry("alice")], SUBJECT, ReviewPolicy(alone=True))
    assert (found.state, found.reason) == ("valid", ALONE)


def test_what_the_runs_own_actor_typed_for_another_is_said() -> None:
    """An approval under another name from the account that ran it counts, and shows where it came from."""
    (found,) = validities([entry(recorded_by="Alice")], SUBJECT, NONE)
    assert (found.state, found.reason) == ("valid", "entered by Alice, who ran it")


def test_a_tree_that_moves_ends_an_approval_by_policy_only() -> None:
    """One that can't be compared counts as moved."""
    asked = ReviewPolicy(stale_when_tree_moves=True)
    cases: list[tuple[TreeWord, State]] = [("same", "valid"), ("moved", "stale-tree"), ("unknown", "stale-tree")]
    for word, state in cases:
        moved = SUBJECT._replace(moved=word)
        assert states(entry(), subject=moved, policy=asked) == [state]
        assert states(entry(), subject=moved) == ["valid"]
    assert [tree_word(*pair) for pair in (("a", "a"), ("a", "b"), (None, "a"), ("a", None))] == [
        *("same", "moved", "unknown", "unknown")
    ]


def test_people_are_counted_and_roles_are_asked_for() -> None:
    """N approvals are of N people; a role is filled by a valid approval in it."""
    two = ReviewPolicy(approvals=2)
    assert open_codes(policy=two) == ["approval-missing"]
    assert open_codes(entry(), entry("BOB", role="x"), policy=two) == ["approval-missing"]
    assert open_codes(entry(), entry("carl"), policy=two) == []
    security = ReviewPolicy(roles=("security",))
    assert open_codes(entry(), policy=security) == ["approval-role-missing"]
    assert open_codes(entry(role="security"), policy=security) == []
    assert open_codes() == []


def test_what_does_not_count_any_more_is_reported_unless_another_is_in_its_place() -> None:
    """A stale approval, or one's own, makes a run not ready only where no valid one stands beside it."""
    assert open_codes(entry(attempt=0)) == ["approval-stale"]
    assert open_codes(entry(attempt=0), entry("carl")) == []
    assert open_codes(entry(attempt=0), entry("carl"), policy=ReviewPolicy(2)) == ["approval-missing", "approval-stale"]
    assert open_codes(entry("alice")) == ["approval-own-run"]
    assert open_codes(entry(attempt=0), entry()) == []


def test_a_request_for_changes_stands_until_its_author_decides_otherwise() -> None:
    """Neither another's approval nor a new attempt takes it away."""
    asked = entry("carl", "request-changes", attempt=0, reason="no tests")
    assert open_codes(asked, entry()) == ["changes-requested"]
    assert open_codes(asked, entry("carl")) == []


def test_actors_are_who_started_and_who_resumed() -> None:
    """Names are compared without case, outer space and forms of letters."""
    record = {"mode": {"actor": " Alice"}, "resume_events": [{"actor": "ＢＯＢ"}, {}]}
    assert given_names(record) == {"alice", "bob"}
    assert given_names({"mode": None}) == frozenset()
    assert folded("Straße ") == "strasse"


LAPTOP = Account(uid=1000, host="laptop", login="ann", name="Ann", email="ann@example.org")
JOB = Account(uid=1001, host="runner", login="runner", email="runner@ci.example", ci_actor="ann")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (LAPTOP, Account(uid=1000, host="laptop", login="bob"), True),  # one machine's user, whatever the login
        (LAPTOP, Account(uid=7, host="desk", email="Ann@Example.org"), True),
        (LAPTOP, Account(uid=7, host="desk", login="ann", email="other@example.org"), False),
        (LAPTOP, Account(uid=7, host="desk", login="ann"), True),
        (LAPTOP, Account(uid=1000, host="desk", login="x"), False),
        (Account(uid=0, host="a", login="root"), Account(uid=0, host="b", login="root"), False),
        (JOB, JOB._replace(ci_actor="ANN", host="other"), True),
        (JOB, JOB._replace(ci_actor="bob"), False),
        (JOB, LAPTOP._replace(login="bob", name=None, email="bob@example.org"), False),
        (JOB, Account(uid=1001, host="runner"), True),
        (JOB, LAPTOP._replace(email="runner@ci.example", login="x", name=None), False),
        (LAPTOP, None, False),
    ],
)
def test_accounts_are_joined_as_the_contract_says(one: Account, other: Account | None, same: bool) -> None:
    """By CI's actor, by user and host, by git's e-mail, by a login beside no e-mail; root joins nobody."""
    here, there = Person(one, frozenset({"given"})), Person(other, frozenset({"somebody"}))
    assert is_same(here, there) is same
    assert is_same(there, here) is same


def test_a_given_name_joins_and_never_divides() -> None:
    """Who gives a name of the other is the other; another name of the same account is nobody else."""
    elsewhere = Account(uid=7, host="desk")
    assert is_same(Person(LAPTOP, frozenset({"x"})), Person(elsewhere, forms_of("ann@example.org")))
    assert is_same(Person(LAPTOP, frozenset({"x"})), Person(LAPTOP, frozenset({"y"})))
    assert is_same(Person(None, forms_of("Ann <ann@example.org>")), Person(LAPTOP, frozenset()))
    assert not is_same(Person(LAPTOP, frozenset({"root"})), Person(elsewhere, frozenset({"root"})))
    assert not is_same(Person(JOB, frozenset({"x"})), Person(JOB._replace(ci_actor="bob"), frozenset({"runner"})))
    joined = Person(elsewhere, forms_of("ann"))
    assert distinct([Person(LAPTOP, frozenset()), Person(Account(uid=1, host="z"), frozenset()), joined]) == 2


def test_the_own_account_approves_under_no_name() -> None:
    """A run that records its account is not approved from it, and a second approval from one account is none."""
    run = {"mode": {"actor": "ci-bot"}, "recorded_by": [{"attempt": 1, **LAPTOP.as_json()}]}
    subject = SUBJECT._replace(people=people_of(run))
    assert states(entry("boss", account=LAPTOP.as_json()), subject=subject) == ["own-run"]
    desk = Account(uid=7, host="desk").as_json()
    two = (entry("bob", account=desk), entry("carl", account=desk))
    assert states(*two, subject=subject) == ["superseded", "valid"]
    assert open_codes(*two, subject=subject, policy=ReviewPolicy(approvals=2)) == ["approval-missing"]
    roles = (entry("bob", account=desk, role="a"), entry("carl", account=desk, role="b"))
    assert open_codes(*roles, subject=subject, policy=ReviewPolicy(approvals=2)) == ["approval-missing"]


@pytest.mark.parametrize(
    "invisible",
    [
        "\u200b",
        "\u00ad",
        "\u2060",
        "\ufeff",
        "\u180e",
        "\u3164",
        "\ufe0f",
        "\U000e0061",
        "\u202e",
        "\u2800",
        "\ufffc",
        "\ufdd0",
        "\ue000",
    ],
)
def test_what_nobody_can_see_makes_nobody_else(invisible: str) -> None:
    """Such characters are left out when names are compared; a name that is given may not have most of them."""
    assert folded(f"a{invisible}nn") == "ann"
    assert invisible not in escaped(f"a{invisible}nn") or unfit(f"a{invisible}nn") is None


def test_joiners_of_scripts_are_letters_of_a_name() -> None:
    """U+200C and U+200D may stand in a name, and are not compared; a control character may not."""
    name = "می\u200cخواهم"
    assert unfit(name) is None
    assert escaped(name) == name
    assert folded(name) == folded(name.replace("\u200c", ""))
    assert unfit("a\x1bb") == "U+001B"
    assert escaped("a\x1bb") == "a\\x1bb"


@given(st.text(max_size=12))
def test_folding_is_done_once(name: str) -> None:
    """The compared form of a compared form is itself."""
    assert folded(folded(name)) == folded(name)


reviews = st.builds(
    entry,
    st.sampled_from(["alice", "bob", "Bob", "carl"]),
    st.sampled_from(DECISIONS),
    attempt=st.integers(1, 2),
    role=st.sampled_from([None, "security"]),
)
policies = st.builds(
    ReviewPolicy, st.integers(0, 3), st.sampled_from([(), ("security",)]), st.booleans(), st.booleans()
)


@given(st.lists(reviews, max_size=6), policies)
def test_each_person_has_one_standing_decision(entries: list[dict[str, Any]], policy: ReviewPolicy) -> None:
    """Nobody's valid approval stands beside their own valid request for changes, and none is of the wrong attempt."""
    judged = validities(entries, SUBJECT, policy)
    valid = [item for item, found in zip(entries, judged, strict=True) if found.state == "valid"]
    approved = {folded(item["actor"]) for item in valid if item["decision"] == "approve"}
    refused = {folded(item["actor"]) for item in valid if item["decision"] == "request-changes"}
    assert not approved & refused
    assert all(item["attempt"] == 1 for item in valid if item["decision"] == "approve")
    assert policy.alone or "alice" not in approved
    codes = open_codes(*entries, policy=policy)
    assert ("approval-missing" in codes) == (len(approved) < policy.approvals)
    assert ("changes-requested" in codes) == bool(refused)


def with_review(**more: Any) -> Manifest:
    """Return a manifest with a valid approval by bob, changed by ``more``."""
    manifest = make_manifest()
    bound = entry(manifest_digest=manifest_digest(manifest.as_json()), **more)
    return manifest._replace(approvals=(bound,))


def test_approvals_are_no_part_of_what_they_are_bound_to() -> None:
    """Recording one leaves the digest as it was, and the next write does too; any other change ends it."""
    manifest = with_review()
    record = manifest._replace(revision=9, updated_at="2026-11-22T09:00:00.000Z").as_json()
    assert [found.state for found in validities(record["approvals"], subject_of(record), NONE)] == ["valid"]
    edited = {**record, "summary": "all good"}
    assert [found.state for found in validities(edited["approvals"], subject_of(edited), NONE)] == ["stale-record"]


def test_the_document_and_its_text_show_each_review_with_its_validity() -> None:
    """Foreign text in a review can't act on a terminal."""
    record = with_review(reason="fine\x1b[2J", role="security", escalation="to ann").as_json()
    document = status_document(record, alive=True, now=START, manifest="m.json")
    assert document["approvals"][0]["validity"] == {"state": "valid", "reason": ""}
    text = status_text(document, width=200, color=False)
    assert "bob as security approved, 2026-11-22 09:00: fine" in text
    assert "escalated: to ann" in text
    assert "\x1b" not in text


words = st.one_of(st.none(), st.text(max_size=5), st.integers(), st.lists(st.integers(), max_size=1))
keys = ("actor", "role", "decision", "reason", "scope", "escalation", "timestamp", "attempt", "recorded_by", "own_run")


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(keys, words)), max_size=3), st.booleans())
def test_whatever_stands_in_a_review_is_shown(entries: list[dict[str, Any]], decided: bool) -> None:
    """Entries that some other program wrote, or somebody damaged, keep no run from being shown."""
    if decided:
        entries = [{**item, "decision": DECISIONS[index % 3]} for index, item in enumerate(entries)]
    record = {**make_manifest().as_json(), "approvals": entries}
    document = status_document(record, alive=True, now=START, manifest="m.json")
    assert len(document["approvals"]) == len(entries)
    assert status_text(document, width=80, color=False)


def test_freshness_is_unknown_where_git_answered_one_time_only() -> None:
    """A digest that was made without git is of other files (ignored ones too), and says nothing of the other."""
    then = {"attempt": 1, "commit": "c1", "branch": "main", "dirty": False, "tree_digest": "t1"}
    now = {"commit": None, "branch": None, "dirty": None, "tree_digest": "t2", "note": "dubious ownership"}
    assert freshness({"provenance": [then]}, now)["tree"] == "unknown"
    assert freshness({"provenance": [{**then, **now}]}, now)["tree"] == "same"


def test_freshness_names_both_trees() -> None:
    """What is not known is null, and says nothing about the tree."""
    then = {"attempt": 1, "commit": "c1", "branch": "main", "dirty": False, "tree_digest": "t1"}
    now = {"commit": "c2", "branch": None, "dirty": True, "tree_digest": "t2", "note": None}
    found = freshness({"provenance": [then]}, now)
    assert (found["tree"], found["then"]["commit"], found["now"]["commit"]) == ("moved", "c1", "c2")
    assert freshness({"provenance": []}, None) == {
        "tree": "unknown",
        "then": dict.fromkeys(("commit", "branch", "dirty", "tree_digest")),
        "now": None,
        "note": None,
    }


@given(st.text(st.characters(codec="ascii"), max_size=8))
def test_plain_names_are_compared_as_all_others(name: str) -> None:
    """A name of ASCII, which no table of Unicode is asked for, is what it is beside a character that isn't seen."""
    assert folded(name) == folded(f"{name}\u00ad")
    assert (unfit(name) is None) == name.isprintable()
