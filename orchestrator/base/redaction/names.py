"""Which environment variables hold a secret, by their names.

Buildkite masks ``*_PASSWORD, *_SECRET, *_TOKEN, *_PRIVATE_KEY, *_ACCESS_KEY, *_SECRET_KEY,
*_CONNECTION_STRING``. The rule here is wider (``PGPASSWORD``, ``_authToken``, ``SECRET_KEY_BASE``)
and looks at whole words, so that ``TOKENIZERS_PARALLELISM``, ``GIT_AUTHOR_NAME`` and ``KEYBOARD``
are left alone.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

MASK = "***"
"""What stands in a secret's place; the same as GitHub's runner writes."""

_ENDINGS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "PASSCODE", "APIKEY", "CREDENTIAL", "CREDENTIALS")
"""A word that ends so is secret wherever it stands: ``PGPASSWORD``, ``GITHUBTOKEN``, ``SECRET_KEY_BASE``."""

_PLURALS = frozenset({"SECRETS", "PASSWORDS", "TOKENS", "CREDS", "APIKEYS"})

_LAST_WORDS = frozenset({"AUTH", "PASS", "SSHPASS", "PAT", "BEARER", "COOKIE", "PSW"})
"""Secret only as the last word: ``NPM_CONFIG__AUTH`` is, ``SSH_AUTH_SOCK`` and ``PASS_RATE`` are not; ``PSW`` is
Jenkins', beside ``USR``."""

_KEY_KINDS = frozenset(
    {
        "ACCESS",
        "ACCOUNT",
        "API",
        "APP",
        "AUTH",
        "CLIENT",
        "DEPLOY",
        "ENCRYPTION",
        "LICENSE",
        "MASTER",
        "PRIVATE",
        "SERVICE",
        "SESSION",
        "SHARED",
        "SIGNING",
        "SSH",
        "STORAGE",
    }
)
"""``KEY`` alone says nothing (``CACHE_KEY``, ``PUBLIC_KEY``, ``GPG_KEY``, a fingerprint); after these it is secret."""

_PAIRS = frozenset({("CONNECTION", "STRING"), ("CONN", "STR"), ("AUTH", "CONFIG"), ("MYSQL", "PWD"), ("DB", "PWD")})

_HARMLESS_LAST = frozenset(
    {
        "ASKPASS",
        "BACKEND",
        "COUNT",
        "DIR",
        "DIRECTORY",
        "DURATION",
        "ENABLED",
        "ENDPOINT",
        "EXPIRES",
        "EXPIRY",
        "FILE",
        "HEADER",
        "HELPER",
        "HOST",
        "ID",
        "LENGTH",
        "LIMIT",
        "MODE",
        "NAME",
        "NAMESPACE",
        "PATH",
        "POLICY",
        "PORT",
        "PROVIDER",
        "REGION",
        "RETRIES",
        "SIZE",
        "SOCK",
        "STORE",
        "TIMEOUT",
        "TTL",
        "TYPE",
        "URI",
        "URL",
        "USER",
        "USERNAME",
        "USR",
        "VERSION",
    }
)
"""What stands about a secret, not the secret: ``AWS_WEB_IDENTITY_TOKEN_FILE``, ``AWS_ACCESS_KEY_ID``, ``TOKEN_URL``."""

_COUNTED = frozenset({"MAX", "MIN", "NUM"})
"""Tokens of a language model are counted, not kept: ``MAX_TOKENS``."""

_EXEMPT = frozenset({"GOOGLE_APPLICATION_CREDENTIALS"})
"""A path by its documentation, and paths are not touched."""


@lru_cache(maxsize=1024)
def looks_secret(name: str) -> bool:
    """Tell whether an environment variable called ``name`` probably holds a secret.

    The value is not looked at. ``secret_env`` in a project's config names what this rule misses.
    """
    upper = name.upper()
    if upper in _EXEMPT:
        return False
    words = "".join(ch if ch.isalnum() else " " for ch in upper).split()
    if not words or words[-1] in _HARMLESS_LAST or not _COUNTED.isdisjoint(words):
        return False
    return (
        words[-1] in _LAST_WORDS
        or any(word.endswith(_ENDINGS) or word in _PLURALS for word in words)
        or any(_secret_pair(first, second) for first, second in pairwise(words))
    )


def _secret_pair(first: str, second: str) -> bool:
    """Tell whether two words in a row name a secret."""
    return (first in _KEY_KINDS and second in ("KEY", "KEYS")) or (first, second) in _PAIRS
