"""Requirements that a reader sees and a program may miss: each is one, or is reported."""

from __future__ import annotations

import pytest

from orchestrator.checks.checklists.items import items_of

SEEN_BY_A_READER = (
    "(needs:diagnostics)",
    "(Needs: diagnostics)",
    "[needs: diagnostics]",
    "<needs: diagnostics>",
    "\u3010needs: diagnostics\u3011",
    "\uff08needs\uff1a diagnostics\uff09",
    "&#40;needs: diagnostics&#41;",
    "&lpar;needs: diagnostics&rpar;",
    "\\(needs: diagnostics\\)",
    "(**needs**: diagnostics)",
    "(needs: [diagnostics](x.md))",
    "(n\u0435\u0435ds: diagnostics)",
    "(\U0001d5c7eeds: diagnostics)",
    "(nee\u00adds: diagnostics)",
    "(needs\ufe0f: diagnostics)",
    "(\u202eneeds: diagnostics)",
    "(needs: diagnostics\U000e0041)",
    "(needs: diagnostics",
    "(\n  needs: diagnostics)",
    "(needs: diagnostics, )",
    "(needs: )",
    "~~(needs: diagnostics)~~",
    "<b>(needs: diagnostics)</b>",
)


@pytest.mark.parametrize("form", SEEN_BY_A_READER, ids=ascii)
def test_no_requirement_is_dropped(form: str) -> None:
    """A near miss of `(needs: …)` is a requirement, or is reported as unclear; none passes silently."""
    (item,) = items_of("docs/checklists/1-app.md", f"- [ ] **t**: x {form}\n", ("1-app",))
    assert item.needs or item.unclear


@pytest.mark.parametrize("text", ["she needs time", "(nested)", "<b>bold</b> (see below)", "(\u043d\u0435\u0442)"])
def test_prose_is_no_requirement(text: str) -> None:
    """Words of a sentence, tags and other languages are none."""
    (item,) = items_of("docs/checklists/1-app.md", f"- [ ] **t**: {text}\n", ("1-app",))
    assert not item.needs
    assert item.unclear is None
