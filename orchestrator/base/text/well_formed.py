"""Text from outside (arguments, the environment, file names, git) as valid Unicode.

Python keeps bytes that are no UTF-8 as lone surrogates (PEP 383), which no strict reader of JSON accepts.
"""

from __future__ import annotations


def well_formed(text: str) -> str:
    """Return ``text`` with U+FFFD for each character that UTF-8 does not have (contract, section 2)."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def well_formed_values(value: object) -> object:
    """Return a JSON value in which every text, keys too, is well formed."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed_values(key): well_formed_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [well_formed_values(item) for item in value]
    return value
