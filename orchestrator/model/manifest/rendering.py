"""The record as bytes, over and over: a fleet's is written at each start and end of hundreds of projects."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.model.manifest.document import Rendered, render, rendered
from orchestrator.model.manifest.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FEW = 20
"""Stages and children, up to which a record is made anew faster than compared."""

_LARGE: Mapping[str, Any] = {"plan": {}, "commands": (), "child_runs": (), "provenance": (), "guardrails": ()}
"""The parts of a record that take longest, and what is as short as can be in their place."""


class Rendering:
    """Renders records that follow each other; parts that are the same objects as in the last one are not made anew."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, Rendered]] = {}
        self._last: tuple[Manifest, Mapping[str, Any]] | None = None

    def document(self, manifest: Manifest) -> Mapping[str, Any]:
        """Return ``manifest.as_json()``, to be read only."""
        if self._last is not None and self._last[0] is manifest:
            return self._last[1]
        before, shown = self._last or (manifest, {})
        same = [name for name in _LARGE if name in shown and getattr(manifest, name) is getattr(before, name)]
        if manifest.digest_form == 1:
            same = []  # what is left out of it depends on all of its parts
        document = manifest._replace(**{name: _LARGE[name] for name in same}).as_json() if same else manifest.as_json()
        document.update((name, shown[name]) for name in same)
        self._last = (manifest, document)
        return document

    def data(self, manifest: Manifest) -> bytes:
        """Return the bytes of ``manifest.json``: those of ``render(manifest.as_json())``."""
        entries = (*manifest.commands, *manifest.child_runs)
        if manifest.digest_form == 1 or len(entries) <= _FEW:
            return render(self.document(manifest))
        commands = tuple(one for one in manifest.commands if not self._knows(one))
        children = tuple(one for one in manifest.child_runs if not self._knows(one))
        plans = () if self._knows(manifest.plan) else (manifest.plan,)
        document = manifest._replace(commands=commands, child_runs=children, plan=plans[0] if plans else {}).as_json()
        pairs: list[tuple[object, object]] = [
            *zip(commands, document["commands"], strict=True),
            *zip(children, document["child_runs"], strict=True),
            *((plan, document["plan"]) for plan in plans),
        ]
        made = {id(part): (part, rendered(shown)) for part, shown in pairs}
        self._known = {id(part): made.get(id(part)) or self._known[id(part)] for part in (*entries, manifest.plan)}
        document["commands"] = [self._known[id(one)][1] for one in manifest.commands]
        document["child_runs"] = [self._known[id(one)][1] for one in manifest.child_runs]
        document["plan"] = self._known[id(manifest.plan)][1]
        return render(document)

    def _knows(self, part: object) -> bool:
        known = self._known.get(id(part))
        return known is not None and known[0] is part
