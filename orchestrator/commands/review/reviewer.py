"""Who reviews: the name that was given, and all names under which the caller is known here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.errors import UsageError
from orchestrator.commands.run.start import ACTOR_VARIABLES, actor_of
from orchestrator.model.approvals import folded

MOST_CHARACTERS = 200
_GIT_VARIABLES = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL")


@dataclass(frozen=True, slots=True)
class Reviewer:
    """``actor`` decides; ``names`` (folded) are all that this person is known by; ``recorded_by`` typed it.

    ``recorded_by`` is None when that is the same person.
    """

    actor: str
    names: frozenset[str]
    recorded_by: str | None


def reviewer_of(environ: Mapping[str, str], folder: str, named: str | None) -> Reviewer:
    """Return the reviewer: the actor ``named``, else the one that the environment names.

    A caller who is named as the environment, the login or git (asked in ``folder``) name them is known by
    all those names, so that nobody approves a run of their own under another of them. Raises UsageError.
    """
    actor = actor_of(environ, named)
    if len(actor) > MOST_CHARACTERS:
        raise UsageError(f"--actor has more than {MOST_CHARACTERS} characters", code="bad-actor")
    known = frozenset(folded(name) for name in _known_names(environ, folder) if name.strip())
    if folded(actor) in known:
        return Reviewer(actor, known, None)
    return Reviewer(actor, frozenset({folded(actor)}), actor_of(environ, None))


def _known_names(environ: Mapping[str, str], folder: str) -> Iterator[str]:
    yield from (environ[name] for name in (*ACTOR_VARIABLES, *_GIT_VARIABLES) if environ.get(name))
    yield f"uid-{os.getuid()}"
    import pwd

    with suppress(KeyError):
        yield pwd.getpwuid(os.getuid()).pw_name
    from orchestrator.git.identity import git_names

    yield from git_names(folder, environ)
