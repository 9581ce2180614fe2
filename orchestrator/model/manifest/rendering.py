"""The record as bytes, over and over: a fleet's is written at each start and end of hundreds of projects."""

from __future__ import annotations

from orchestrator.model.manifest.document import Rendered, render, rendered
from orchestrator.model.manifest.manifest import Manifest

_FEW = 20
"""Stages and children, up to which a record is made anew faster than compared."""


class Rendering:
    """Renders records that follow each other; parts that are the same objects as in the last one are not made anew."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, Rendered]] = {}

    def data(self, manifest: Manifest) -> bytes:
        """Return the bytes of ``manifest.json``: those of ``render(manifest.as_json())``."""
        entries = (*manifest.commands, *manifest.child_runs)
        if manifest.digest_form == 1 or len(entries) <= _FEW:
            return render(manifest.as_json())
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
