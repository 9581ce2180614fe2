"""The reader of shell lines against a real shell: what it says can't fail does not."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.commands_that_cannot_fail import shell_reason
from tests.generated import examples

simple = st.sampled_from(["guard", "guard", "true", "echo x", "exit 0", "exit 1", "X=1", "set -e", "{ ! guard; }"])
joined = st.sampled_from([" && ", " || ", "; ", " | ", "\n"])
lines = st.recursive(
    simple,
    lambda line: (
        st.tuples(line, joined, line).map("".join)
        | st.tuples(line, line).map(lambda two: f"if {two[0]}; then {two[1]}; fi")
        | st.tuples(line, line, line).map(lambda three: "if {}; then {}; else {}; fi".format(*three))
        | line.map(lambda one: f"( {one} )")
        | line.map(lambda one: f"{{ {one}; }}")
        | line.map(lambda one: f"for i in 1 2; do {one}; done")
        | line.map(lambda one: f"echo $( {one} )")
        | line.map(lambda one: f"{one} & wait")
        | st.tuples(line, line).map(lambda two: f"case a in a) {two[0]};; *) {two[1]};; esac")
    ),
    max_leaves=5,
)


@settings(max_examples=examples(100))
@given(lines)
def test_what_can_not_fail_does_not(line: str) -> None:
    """A line of which the reader says that it can't fail ends with 0, whatever the guards in it come to."""
    if shell_reason(line) is None:
        return
    for guard in ("true", "false", "[ $(($$ % 2)) = 0 ]"):
        done = subprocess.run(["sh", "-c", line.replace("guard", guard)], capture_output=True, check=False)
        assert done.returncode == 0, (line, guard)
