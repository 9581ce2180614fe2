"""Reading very many manifests: what stands in one as it stood in another is neither parsed nor written again.

Manifests are written a key to a line (``document.render``), and much of one, its plan above all, is the same in every
run of a project. A member of the object that was read before, to the letter, has the value and the canonical form that
it had then. What is not written so is read as any other document.
"""

from __future__ import annotations

from hashlib import sha256

from orchestrator.base.canonical import CanonicalReader
from orchestrator.model.manifest.digest import NOT_DIGESTED, manifest_digest
from orchestrator.model.manifest.document import NO_JSON, READING, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BEGIN, _BETWEEN, _END = '{\n  "', ',\n  "', "\n}\n"
"""No text in a JSON document holds a newline, and what is inside of a member is written further to the right."""

_READER = CanonicalReader(**READING)

_MOST = 4096
"""Members that are kept."""


class ManyManifests:
    """Reads one manifest after the other. The values of documents are shared: nobody may change them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Any, str]] = {}

    def read(self, data: bytes, where: str) -> tuple[dict[str, Any], str]:
        """Return the document in ``data`` and its manifest digest; raises as ``document.parse`` does."""
        found = self._read_members(data)
        if found is not None:
            return found
        document = parse(data, where)
        return document, manifest_digest(document)

    def _read_members(self, data: bytes) -> tuple[dict[str, Any], str] | None:
        """Return the same for a document that is written as ours are; None for any other."""
        if not data.isascii():
            return None
        text = data.decode("ascii")
        if not (text.startswith(_BEGIN) and text.endswith(_END)):
            return None
        texts = text[len(_BEGIN) : -len(_END)].split(_BETWEEN)
        members = [self._known.get(member) or self._member(member) for member in texts]
        document, written = {}, {}
        for member in members:
            if member is None:
                return None
            document[member[0]], written[member[0]] = member[1], member[2]
        if len(document) < len(members) or document.get("digest_form") != 2:
            return None
        digested = ",".join([written[key] for key in sorted(written) if key not in NOT_DIGESTED])
        return document, sha256(f"{{{digested}}}".encode()).hexdigest()

    def _member(self, text: str) -> tuple[str, Any, str] | None:
        parts = text.split('"', 4)
        if len(parts) == 4 and parts[1] == ": " and not parts[3] and "\\" not in text and text.isprintable():
            return parts[0], parts[2], f'"{parts[0]}":"{parts[2]}"'  # a text, which stands there as it is
        try:
            document, form = _READER.read(f'{{"{text}}}')
        except NO_JSON:
            return None
        if not isinstance(document, dict) or len(document) != 1:
            return None
        [(key, value)] = document.items()
        if len(self._known) >= _MOST:
            self._known.clear()
        found = self._known[text] = key, value, form[1:-1]
        return found
