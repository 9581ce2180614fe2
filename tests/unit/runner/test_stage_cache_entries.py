"""How files are stored in an entry of the stage cache, and digested for its key."""

from __future__ import annotations

import json
from collections.abc import ItemsView

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runner.stage_cache.cache_key import files_digest
from orchestrator.runner.stage_cache.entries import _columns, _files
from orchestrator.runner.stage_cache.fingerprints import FileState

STATUSES = st.tuples(*[st.integers(0, 2**63), st.integers(0, 2**62), *[st.integers(0, 2**64 - 1)] * 4])
STATES = st.builds(FileState, st.text(max_size=9), st.booleans(), STATUSES)


@given(st.dictionaries(st.text(min_size=1, max_size=5), STATES, max_size=5))
def test_files_are_read_as_they_were_stored(files: dict[str, FileState]) -> None:
    """What an entry says of files comes back through JSON."""
    assert _files(json.loads(json.dumps(_columns(files)))) == files


@given(st.dictionaries(st.text("ab/", min_size=1, max_size=3), st.text("-ab ", max_size=3), max_size=4).map(dict.items))
def test_a_digest_of_files_is_of_their_paths_and_contents(files: ItemsView[str, str]) -> None:
    """The order in which files were seen does not count; any path and any content does."""
    states = {path: FileState(content, True, ()) for path, content in files}
    digest = files_digest(states)
    assert files_digest(dict(reversed(states.items()))) == digest
    for path, state in states.items():
        assert files_digest({**states, path: state._replace(content=f"{state.content}x")}) != digest
        assert files_digest({key: value for key, value in states.items() if key != path}) != digest
