"""Who reviews: the name that was given, and all names under which the caller is known here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.errors import UsageError
from orchestrator.base.person_names import escaped, forms_of, unfit
from orchestrator.commands.run.requests import ACTOR_VARIABLES, actor_of
from orchestrator.git.identity import AccountQuery, git_names
from orchestrator.model.accounts import Person, account_of, given_names, is_same, people_of, tells_apart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_CHARACTERS = 200
_GIT_VARIABLES = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL")


@dataclass(frozen=True, slots=True)
class Reviewer:
    """``actor`` decides, from the account ``account``; ``names`` (folded) are all that this person is known by.

    ``recorded_by`` typed it; None when that is the same person.
    """

    actor: str
    names: frozenset[str]
    recorded_by: str | None
    account: Mapping[str, Any]

    def ran(self, record: Mapping[str, Any]) -> bool:
        """Tell whether the run of a manifest was started or resumed by this person, or from this account."""
        people = people_of(record)
        shared = self.names & given_names(record)
        if all(person.account is None for person in people):
            return bool(shared)
        return any(map(tells_apart, shared)) or any(
            is_same(Person(account_of(self.account), forms_of(self.actor)), person) for person in people
        )


def reviewer_of(environ: Mapping[str, str], folder: str, named: str | None) -> Reviewer:
    """Return the reviewer: the actor ``named``, else the one that the environment names.

    A caller who is named as the environment, the login or git (asked in ``folder``) name them is known by
    all those names, so that nobody approves a run of their own under another of them. Raises UsageError.
    """
    actor = actor_of(environ, named)
    if len(actor) > MOST_CHARACTERS:
        raise UsageError(f"--actor has more than {MOST_CHARACTERS} characters", code="bad-actor")
    wrong = unfit(actor)
    if wrong is not None and named is not None:
        raise UsageError(
            f"--actor has the character {wrong}, which nobody can see",
            hint="give the name without it",
            code="bad-actor",
        )
    actor = escaped(actor)
    account = AccountQuery.begin(folder, environ).answer()
    known = frozenset().union(*(forms_of(name) for name in _known_names(environ, folder)))
    if forms_of(actor) & known:
        return Reviewer(actor, known | forms_of(actor), None, account)
    return Reviewer(actor, forms_of(actor), escaped(actor_of(environ, None)), account)


def _known_names(environ: Mapping[str, str], folder: str) -> Iterator[str]:
    yield from (environ[name] for name in (*ACTOR_VARIABLES, *_GIT_VARIABLES) if environ.get(name))
    yield f"uid-{os.getuid()}"
    import pwd

    with suppress(KeyError):
        yield pwd.getpwuid(os.getuid()).pw_name
    yield from git_names(folder, environ)
