"""What a project asks of reviews now, by its config; alone in its module, as every run's answer needs it."""

from __future__ import annotations

import os

from orchestrator.base.errors import Refusal
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.model.review_policy import ReviewPolicy, policy_of

_LIMIT = 64 * 1024
"""No config is larger (``config.source``)."""


def review_policy(root: str, project: str) -> tuple[ReviewPolicy, str | None]:
    """Return the project's policy, and why it can't be known; one that can't be known must not count as none."""
    file = f"{CONFIG_FOLDER}/{project}.toml"
    try:
        with open(os.path.join(root, file), "rb", opener=_unblocked) as stream:
            raw = stream.read(_LIMIT + 1)
        # Most configs have no such table: then nothing is parsed. A key may be written with escapes.
        if b"review" not in raw and b"\\" not in raw and len(raw) <= _LIMIT:
            return ReviewPolicy(), None
        from orchestrator.config.source import read_source

        return policy_of(read_source(root, project).table), None
    except Refusal as refusal:
        return ReviewPolicy(), " ".join(refusal.message.split())
    except ValueError as error:
        return ReviewPolicy(), f"{file}: {error}"
    except OSError as error:
        return ReviewPolicy(), f"{file}: {error.strerror or error}"


def _unblocked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
