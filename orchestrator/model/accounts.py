"""Accounts: under which user somebody worked, beside the name that they gave. Names join accounts, never divide them.

The rule is the contract's (section 7, "Approvals").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.base.person_names import folded, forms_of
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EVERYBODY = "root"
"""The login of many machines and containers, which joins nobody; neither does ``uid-N``, a number of one machine."""


class Account(Record):
    """Who worked: ``uid`` and ``host``, ``login``, git's ``name`` and ``email``, and the actor that CI names."""

    uid: int | None = None
    host: str | None = None
    login: str | None = None
    name: str | None = None
    email: str | None = None
    ci_actor: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the document of it."""
        return {key: getattr(self, key) for key in self._fields}


class Signed(Record):
    """Whose a good signature is: the principal of allowed_signers, the key's fingerprint, further principals."""

    principal: str
    key: str
    also: tuple[str, ...] = ()


class Person(Record):
    """An account, None where none was recorded, and the names (folded) that were given with it.

    ``key`` is the fingerprint of a key that signed, and ``signer`` whose it is: who signs is that one, and nobody else.
    """

    account: Account | None
    given: frozenset[str]
    key: str = ""
    signer: str = ""


def account_of(document: object) -> Account | None:
    """Return the account in a record, None where there is none; keys that can't be read count as missing."""
    if not isinstance(document, Mapping):
        return None
    texts = {key: document.get(key) for key in Account._fields if key != "uid"}
    uid = document.get("uid")
    known = {key: text for key, text in texts.items() if isinstance(text, str) and text}
    return Account(uid=uid if isinstance(uid, int) and not isinstance(uid, bool) else None, **known)


def is_same(one: Person, other: Person) -> bool:
    """Tell whether two entries are of one account; two that are signed, of one key or of one signer's keys."""
    if one.key and other.key:
        return one.key == other.key or (bool(one.signer) and folded(one.signer) == folded(other.signer))
    here, there = one.account, other.account
    shared = (_names(one, other) & other.given) | (_names(other, one) & one.given)
    if here is None or there is None:
        return bool(shared)
    if any(map(tells_apart, shared)):
        return True
    if here.ci_actor and there.ci_actor:
        return folded(here.ci_actor) == folded(there.ci_actor)
    if here.uid is not None and here.host and (here.uid, here.host) == (there.uid, there.host):
        return True
    if here.email and there.email:
        return not here.ci_actor and not there.ci_actor and folded(here.email) == folded(there.email)
    if not here.login or not there.login:
        return False
    return folded(here.login) == folded(there.login) != _EVERYBODY


def tells_apart(name: str) -> bool:
    """Tell whether a (folded) name says who somebody is: ``root`` and ``uid-N`` don't."""
    return name != _EVERYBODY and not name.startswith("uid-")


def _names(person: Person, beside: Person) -> frozenset[str]:
    """Return all names of somebody, as they count beside another; those of a CI job's machine are nobody's."""
    account = person.account
    if account is None:
        return person.given
    both = bool(account.ci_actor and beside.account is not None and beside.account.ci_actor)
    own = (account.ci_actor,) if both else (account.ci_actor, account.login, account.name, account.email)
    return person.given.union(*(forms_of(name) for name in own if name))


def people_of(record: Mapping[str, Any]) -> tuple[Person, ...]:
    """Return who started and who resumed a run, by its manifest: the account of each attempt, the actors given.

    A run without accounts is judged by its actors.
    """
    actors = given_names(record)
    recorded = record.get("recorded_by")
    entries = recorded if isinstance(recorded, Sequence) and not isinstance(recorded, str) else (recorded,)
    accounts = [account for entry in entries if (account := account_of(entry)) is not None]
    return tuple(Person(account, actors) for account in accounts) or (Person(None, actors),)


def given_names(record: Mapping[str, Any]) -> frozenset[str]:
    """Return, folded, the actors that a run's start and its resumes were given."""
    resumed = [event.get("actor") for event in record.get("resume_events") or ()]
    started = (record.get("mode") or {}).get("actor")
    names = (forms_of(name) for name in (started, *resumed) if isinstance(name, str))
    return frozenset().union(*names)


def distinct(people: Iterable[Person]) -> int:
    """Return how many accounts are among ``people``: who joins two of them makes one of three."""
    groups: list[list[Person]] = []
    for person in people:
        joined = [group for group in groups if any(is_same(person, other) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([person, *(other for group in joined for other in group)])
    return len(groups)
