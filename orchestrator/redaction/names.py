"""Which environment variables hold a secret, told by their names."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?:^|_)(?:[A-Z0-9]*TOKENS?|[A-Z0-9]*SECRETS?|[A-Z0-9]*PASSWORDS?|PASSWD|PASSPHRASE"
    r"|[A-Z0-9]*API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)(?:$|_)"
)


def looks_secret(name: str) -> bool:
    """Tell whether an environment variable called ``name`` probably holds a secret."""
    return _SECRET.search(name.upper()) is not None
