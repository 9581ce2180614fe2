"""The Markdown files of a workspace that checklists may stand in."""

from __future__ import annotations

import os

from orchestrator.base.files.changes import UnfitFileError, current_text
from orchestrator.base.finding import Flaw
from orchestrator.checks.checklists.items import EVIDENCE_FOLDER

FOLDERS = ("tasks", "docs", ".agent")


def read_documents(root: str) -> tuple[dict[str, str], list[Flaw]]:
    """Return the texts by their paths from ``root``, and the files that can't be read; links are not followed."""
    texts: dict[str, str] = {}
    flaws: list[Flaw] = []
    for folder in FOLDERS:
        for above, names, files in os.walk(os.path.join(root, folder)):
            here = os.path.relpath(above, root).replace(os.sep, "/")
            names[:] = sorted(name for name in names if f"{here}/{name}" != EVIDENCE_FOLDER)
            for name in sorted(files):
                path = f"{here}/{name}"
                if not name.endswith(".md"):
                    continue
                try:
                    text = current_text(root, path)
                except UnfitFileError as error:
                    flaws.append(Flaw("document-unreadable", path, str(error)))
                else:
                    texts[path] = text or ""
    return texts, flaws
