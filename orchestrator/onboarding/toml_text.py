"""Values as TOML text. There is a reader in the standard library and no writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def toml_value(value: object) -> str:
    """Return a text, whole number, truth value, list or table of such as TOML 1.0 on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(str(key))} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, int):
        return str(value)
    # JSON's escapes are TOML's; DEL and lone surrogates are what TOML allows nowhere and JSON does.
    text = json.dumps(str(value).encode("utf-8", "replace").decode(), ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


def toml_key(key: str) -> str:
    """Return a key, quoted where TOML needs it."""
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else toml_value(key)


def comment(text: str) -> str:
    """Return a text as one comment line, whatever is in it."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return "# " + " ".join(printable.encode("utf-8", "replace").decode().split())
