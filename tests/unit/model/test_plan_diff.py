"""Two recorded plans: what differs is told, and what only one environment could mask is not taken for a difference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.plan import redacted
from orchestrator.model.plan_diff import as_recorded, plan_drift, settle, unchanged
from tests.records import make_plan, make_stage

SECRET = "hunter22-and-more"
LINE = f"deploy --key {SECRET} --to {SECRET}.example"


def plan(line: str = LINE, *, knows: str = "", config: str = "c" * 64) -> dict[str, Any]:
    """Return the record of a plan with a shell line, by an environment that ``knows`` a secret."""
    stage = make_stage("build")._replace(argv=(), shell=line)
    made = make_plan(stage)._replace(config_digest=config)
    return redacted(made, lambda text: text.replace(knows, "***") if knows else text).record()


def test_a_secret_that_one_environment_knew_is_no_drift() -> None:
    """In either direction, for the plan as for its stages."""
    masked, clear = plan(knows=SECRET), plan()
    assert masked["digest"] != clear["digest"]
    for before, after in ((masked, clear), (clear, masked)):
        assert plan_drift(before, after) == ()
        assert unchanged(before, after) == {"build"}


def test_with_another_config_it_is_printed_what_may_be_the_matter() -> None:
    """The text can't be compared then: the line says so, and what to do; a plain change is called one."""
    (line,) = plan_drift(plan(knows=SECRET), plan(config="d" * 64))
    assert line.startswith("stage 'build': 'shell' changed, or it holds a secret")
    assert "set the same variables as then" in line
    assert unchanged(plan(knows=SECRET), plan(config="d" * 64)) == frozenset()
    (line,) = plan_drift(plan(), plan("deploy", config="d" * 64))
    assert line == "stage 'build': 'shell' changed"


def test_what_differs_beside_the_mask_is_drift_with_the_same_config_too() -> None:
    """As after a newer version of this program, which compiles the same config otherwise."""
    assert plan_drift(plan(knows=SECRET), plan(f"{LINE} --force")) == ("stage 'build': 'shell' changed",)
    stage = make_stage("build")._replace(argv=(), shell=LINE, timeout_seconds=5.0)
    slower = make_plan(stage)._replace(config_digest="c" * 64).record()
    assert plan_drift(plan(knows=SECRET), slower) == ("stage 'build': 'timeout_seconds' changed",)


@pytest.mark.parametrize("digest", ["c" * 64, "d" * 64])
def test_a_new_attempt_masks_what_the_record_has_masked(digest: str) -> None:
    """Where the config is the same; what is masked today stays so in any case."""
    mask = as_recorded(plan(knows=SECRET), digest, lambda text: text.replace("other", "***"))
    assert mask(LINE) == (LINE.replace(SECRET, "***") if digest == "c" * 64 else LINE)
    assert mask("the other") == "the ***"


_PIECES = st.lists(st.text("ab*", max_size=3), min_size=1, max_size=5)


@given(_PIECES, st.lists(st.text("ab*", min_size=1, max_size=4), min_size=4, max_size=4))
def test_masking_any_pieces_is_seen_as_such(pieces: list[str], secrets: list[str]) -> None:
    """Whatever stood where the masks are, and however alike it is to what is around it; an empty piece is none."""
    clear = "".join(piece + secret for piece, secret in zip(pieces, secrets, strict=False))
    masked = "".join(f"{piece}***" for piece in pieces[: len(secrets)])
    assert settle(masked, clear) == masked
    assert settle("x***y", "xy") == "xy"
    assert settle("x***y", "xsz") == "xsz"


def reaching(line: str = "make test", *, config: str = "c" * 64, knows: str = "") -> dict[str, Any]:
    """Return the record of a plan whose stage ``far`` runs pipeline ``checks``, which runs ``line`` as ``test``."""
    test = make_stage("test")._replace(argv=(), kind="shell", shell=line)
    below = make_plan(test)._replace(pipeline="checks", config_digest=config)
    far = make_stage("far")._replace(argv=(), kind="subpipeline", pipeline="checks", project=below.project)
    made = make_plan(far, make_stage("own"))._replace(subplans=(below,), config_digest="a" * 64)
    return redacted(made, lambda text: text.replace(knows, "***") if knows else text).record()


def test_a_change_below_is_drift_of_whoever_runs_it() -> None:
    """The stage of the sub-pipeline is named; only the stage that reaches it is other work."""
    (line,) = plan_drift(reaching(), reaching("true", config="d" * 64))
    assert line == "sub-pipeline 'checks' of 'hello': stage 'test': 'shell' changed"
    assert unchanged(reaching(), reaching("true", config="d" * 64)) == {"own"}
    assert unchanged(reaching(), reaching(config="d" * 64)) == {"far", "own"}
    assert reaching()["digest"] == reaching(config="d" * 64)["digest"]


def test_a_secret_below_that_one_environment_knew_is_no_drift() -> None:
    """Judged by the config of the sub-pipeline's own project."""
    assert plan_drift(reaching(LINE, knows=SECRET), reaching(LINE)) == ()
    assert unchanged(reaching(LINE, knows=SECRET), reaching(LINE)) == {"far", "own"}
    assert plan_drift(reaching(LINE, knows=SECRET), reaching(LINE, config="d" * 64)) != ()


def test_a_sub_pipeline_that_comes_or_goes_is_named() -> None:
    """Also where no stage of the plan's own changed."""
    less = {**reaching(), "subpipelines": [], "digest": "x"}
    assert plan_drift(less, reaching()) == ("sub-pipeline 'checks' of 'hello' is new",)
    assert plan_drift(reaching(), less) == ("sub-pipeline 'checks' of 'hello' is not reached any more",)


def test_a_plan_of_before_sub_pipelines_were_kept_is_not_called_the_same() -> None:
    """What was never recorded can't be compared, and that is said; a plan without any loses nothing."""
    older = {key: value for key, value in reaching().items() if key not in ("subpipelines", "compiler")}
    (line,) = plan_drift({**older, "digest": "x"}, reaching())
    assert "can't be ruled out" in line
    plain = {key: value for key, value in plan().items() if key not in ("subpipelines", "compiler")}
    assert plan_drift({**plain, "digest": "x"}, plan()) == ()
    assert plan_drift({**plan(), "digest": "x"}, plan()) == ("the plan has another digest",)
