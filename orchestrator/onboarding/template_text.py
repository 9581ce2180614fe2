"""The templates inside the package, filled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from string import Template

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")


def template(name: str) -> str:
    """Return the text of ``templates/<name>``."""
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as stream:
        return stream.read()


def filled(name: str, values: Mapping[str, str]) -> str:
    """Return ``templates/<name>`` with each ``$key`` replaced; KeyError for one that ``values`` lacks."""
    return Template(template(name)).substitute(values)
