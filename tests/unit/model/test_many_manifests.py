"""Many manifests read one after the other are read as each of them alone is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.document import parse, render
from orchestrator.model.manifest.many_manifests import ManyManifests
from tests.generated import examples
from tests.records import make_manifest

SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.sampled_from([5.0, -0.0, 0.012]) | st.text()
VALUES = st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=3) | SCALARS
DOCUMENTS = st.dictionaries(st.sampled_from(["summary", "plan", "revision"]) | st.text(), VALUES, max_size=5)


@settings(max_examples=examples(60))
@given(st.lists(DOCUMENTS, max_size=4), st.booleans())
def test_documents_and_digests_are_those_of_each_alone(documents: list[dict[str, Any]], indented: bool) -> None:
    """Whatever was read before, and however the file is written; also a second time, when every member is known."""
    manifests = ManyManifests()
    for document in [*documents, *documents]:
        content = {**document, "digest_form": 2}
        data = json.dumps(content, indent=2).encode() if indented else render(content)
        alone = parse(data, "x")
        assert manifests.read(data, "x") == (alone, manifest_digest(alone))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 2', '"version": 2,\n  "version": 2'),
        ('"version": 2', '"version": 2, "version": 3'),
        ('"version": 2', '"version": NaN'),
        ('"version": 2', '"version": 2}'),
        ('"status"', '"run\n  id"'),
        ("\n}\n", "\n}\n}\n"),
    ],
)
def test_what_is_no_json_is_refused_also_after_one_that_is(old: str, new: str) -> None:
    """A key that stands twice, in one line or in two, a constant, a brace too many, a newline in a text."""
    data = render(make_manifest(1).as_json())
    manifests = ManyManifests()
    manifests.read(data, "x")
    changed = data.decode().replace(old, new, 1).encode()
    assert changed != data
    with pytest.raises(DamagedRecord):
        parse(changed, "x")
    with pytest.raises(DamagedRecord):
        manifests.read(changed, "x")
