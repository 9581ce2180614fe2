"""The table of forms. A new one is a module that makes bytes of runs, and an entry here."""

from __future__ import annotations

from orchestrator.report.exports.chrome_trace import chrome_trace
from orchestrator.report.exports.exported import Form
from orchestrator.report.exports.github_annotations import github_annotations
from orchestrator.report.exports.github_summary import github_summary
from orchestrator.report.exports.junit import junit
from orchestrator.report.exports.otlp_json import otlp_json

FORMS = {
    form.name: form
    for form in (
        Form("junit", junit, "application/xml", needs_end=True),
        Form("otlp-json", otlp_json, "application/json", needs_end=True),
        Form("chrome-trace", chrome_trace, "application/json"),
        Form("github-summary", github_summary, "text/markdown; charset=utf-8"),
        Form("github-annotations", github_annotations, "text/plain; charset=utf-8"),
    )
}
"""By the name on the command line. The attestation (in-toto) proves first, so the command makes it by itself; so is
``otlp``, which is sent."""
