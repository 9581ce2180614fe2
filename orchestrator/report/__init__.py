"""Values to text and JSON: what ``status``, ``plan``, ``start`` and ``resume`` show. Nothing here reads or writes.

Records are taken as they are on disk (version 1 or 2), so that ``status`` starts without the classes
and the checks of the manifest. ``fields`` reads records, ``view`` is the status document, ``status_text``
its text, ``changes`` what a watcher is told, ``ending`` what a run ends with, ``plan_text`` what will run.
"""

from orchestrator.report.ending import failure_digest, run_document
from orchestrator.report.status_text import status_text
from orchestrator.report.view import standing, status_document

__all__ = ["failure_digest", "run_document", "standing", "status_document", "status_text"]
