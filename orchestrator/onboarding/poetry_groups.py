"""poetry's own tables of requirements as the requirements that every installer reads."""

from __future__ import annotations

import re

from orchestrator.onboarding.codebase import table, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def poetry_groups(poetry: dict[str, Any]) -> dict[str, list[str]]:
    """Return the requirements of poetry's groups by name, the older ``dev-dependencies`` as ``dev``."""
    groups = {name: table(poetry, "group", name, "dependencies") for name in table(poetry, "group")}
    groups["dev"] = {**table(poetry, "dev-dependencies"), **groups.get("dev", {})}
    return {
        name: [found for package, said in listed.items() if (found := _requirement(package, said))]
        for name, listed in groups.items()
    }


def poetry_dependencies(poetry: dict[str, Any]) -> list[str]:
    """Return the requirements of the codebase itself."""
    listed = table(poetry, "dependencies").items()
    return [found for package, said in listed if (found := _requirement(package, said))]


def _requirement(package: str, said: object) -> str:
    if package == "python" or (isinstance(said, dict) and {"git", "path", "url"} & said.keys()):
        return ""
    version = said.get("version") if isinstance(said, dict) else said
    extras = ",".join(texts(said.get("extras"))) if isinstance(said, dict) else ""
    marker = said.get("markers") if isinstance(said, dict) else None
    text = f"{package}[{extras}]" if extras else package
    text += ",".join(filter(None, map(_specifier, version.split(",")))) if isinstance(version, str) else ""
    return f"{text}; {marker}" if isinstance(marker, str) else text


def _specifier(constraint: str) -> str:
    """Return a constraint of poetry's as the standard's: ``^8.1`` as ``>=8.1,<9``, ``~1.2`` as ``>=1.2,<1.3``."""
    constraint = constraint.strip()
    found = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)", constraint)
    if found is None:
        return f"=={constraint}" if re.fullmatch(r"\d+(?:\.\d+)+", constraint) else _known(constraint)
    parts = [int(part) for part in found[2].split(".")]
    if found[1] == "^":
        place = next((place for place, part in enumerate(parts) if part), len(parts) - 1)
    else:
        place = 0 if len(parts) == 1 else 1
    above = ".".join(map(str, [*parts[:place], parts[place] + 1]))
    return f">={found[2]},<{above}"


def _known(constraint: str) -> str:
    return constraint if re.fullmatch(r"(?:[<>]=?|==|!=|~=)\s*[\w.*+!-]+", constraint) else ""
