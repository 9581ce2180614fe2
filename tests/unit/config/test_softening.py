"""What a config asks less than the base's, found by comparing the two."""

from __future__ import annotations

import pytest

from orchestrator.config.loading import parse_bytes
from orchestrator.config.softening import docs_softenings, softenings, softenings_reached
from orchestrator.config.workspace_file import docs_policy_of
from orchestrator.model.base_policy import COMMAND_CHANGED, POLICY_SOFTENED, SKIP_ADDED, unapproved_softening

HEAD = 'schema_version = 1\n[project]\nname = "x"\npath = "packages/x"\ntask_id = "1-x"\n'
STRICT = """
[guardrails]
required = ["spec-guard", "licences"]
pipelines = ["diagnostics", "nightly"]
proof = "required"
[review]
approvals = 2
roles = ["security"]
stale_when_tree_moves = true
signed = true
signers = "keys"
[metrics]
min_coverage = 0.95
sla_budget = 0.05
[spec_guard]
code = ["src/**", "tools/**"]
specs = ["tasks/specs/**", "docs/**"]
max_review_age = "10d"
[[pipelines.nightly.stages]]
id = "x"
run = "x"
[[pipelines.diagnostics.stages]]
id = "build"
run = "make"
[[pipelines.diagnostics.stages]]
id = "lint"
skip = "none"
[[pipelines.diagnostics.stages]]
id = "test"
run = "pytest"
[[pipelines.diagnostics.stages]]
id = "licences"
run = "licences"
guardrail = true
[[pipelines.diagnostics.stages]]
id = "spec-guard"
run = "codex-orchestrator spec-guard"
"""


def compared(*changes: tuple[str, str], extra: str = "") -> list[tuple[str, str]]:
    """Return code and key of what a changed config asks less than the strict one."""
    text = STRICT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    base = parse_bytes("x", (HEAD + STRICT).encode())
    now = parse_bytes("x", (HEAD + text + extra).encode())
    return [(entry.code, entry.key) for entry in softenings(base, now, "diagnostics")]


STAGE = "pipelines.diagnostics.stages"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ((', "licences"]', "]"), "guardrails.required"),
        (('["diagnostics", "nightly"]', '["diagnostics"]'), "guardrails.pipelines"),
        (('proof = "required"', ""), "guardrails.proof"),
        (("orchestrator spec-guard", "orchestrator spec-guard --base HEAD~1"), f"{STAGE}[spec-guard].run"),
        (("orchestrator spec-guard", "orchestrator spec-guard --base=HEAD~1"), f"{STAGE}[spec-guard].run"),
        (("orchestrator spec-guard", "orchestrator spec-guard --task any-other"), f"{STAGE}[spec-guard].run"),
        (("approvals = 2", "approvals = 1"), "review.approvals"),
        (('roles = ["security"]', ""), "review.roles"),
        (("stale_when_tree_moves = true", "alone = true\nstale_when_tree_moves = true"), "review.alone"),
        (("stale_when_tree_moves = true", ""), "review.stale_when_tree_moves"),
        (("signed = true", ""), "review.signed"),
        (('signers = "keys"', 'signers = "other"'), "review.signers"),
        (("min_coverage = 0.95", "min_coverage = 0.9"), "metrics.min_coverage"),
        (("sla_budget = 0.05", "sla_budget = 0.5"), "metrics.sla_budget"),
        ((', "tools/**"]', "]"), "spec_guard.code"),
        ((', "docs/**"]', "]"), "spec_guard.specs"),
        ((', "docs/**"]', ', "docs/**", "src/x.py"]'), "spec_guard.specs"),
        (('max_review_age = "10d"', 'max_review_age = "11d"'), "spec_guard.max_review_age"),
        (('max_review_age = "10d"', 'max_review_age = "any"'), "spec_guard.max_review_age"),
        (('max_review_age = "10d"', 'max_review_age = "10d"\nbase = "HEAD~1"'), "spec_guard.base"),
        (('max_review_age = "10d"', 'max_review_age = "10d"\nexclude = ["src/old/**"]'), "spec_guard.exclude"),
        (('max_review_age = "10d"', 'max_review_age = "10d"\nchecklists = false'), "spec_guard.checklists"),
        (('run = "pytest"', 'skip = "flaky"'), f"{STAGE}[test].skip"),
        (('run = "pytest"', 'run = "pytest"\nallow_failure = true'), f"{STAGE}[test].allow_failure"),
        (('run = "pytest"', 'shell = "pytest || true"'), f"{STAGE}[test]"),
        (('run = "licences"', 'shell = "licences; true"'), f"{STAGE}[licences]"),
    ],
)
def test_what_asks_for_less_is_found(change: tuple[str, str], key: str) -> None:
    """Each kind of it, with its key."""
    assert (POLICY_SOFTENED, key) in compared(change)


def test_a_run_that_may_newly_leave_the_machine_is_found() -> None:
    """What the base keeps on the machine, the change does not let out by itself; the other way is no less."""
    kept = parse_bytes("x", (HEAD + "[session]\ncloud = false\n").encode())
    free = parse_bytes("x", HEAD.encode())
    assert [entry.key for entry in softenings(kept, free, "diagnostics")] == ["session.cloud"]
    assert softenings(free, kept, "diagnostics") == softenings(kept, kept, "diagnostics") == ()


def test_a_sub_pipeline_of_a_check_is_compared_too() -> None:
    """A check that is a sub-pipeline of the same project is as strong as its stages, at any depth."""
    below = '[[pipelines.{}.stages]]\nid = "{}"\n{}\n'
    base = parse_bytes(
        "x",
        (
            HEAD
            + STRICT.replace('run = "pytest"', 'pipeline = "checks"')
            + below.format("checks", "more", 'pipeline = "deep"')
            + below.format("deep", "types", 'run = "mypy"')
        ).encode(),
    )
    now = base._replace(
        pipelines={
            **base.pipelines,
            "deep": base.pipelines["deep"]._replace(stages=(base.pipelines["deep"].stages[0]._replace(run=("true",)),)),
        }
    )
    found = [(entry.code, entry.key) for entry in softenings(base, now, "diagnostics")]
    place = "pipelines.deep.stages[types]"
    assert found == [(POLICY_SOFTENED, place), (COMMAND_CHANGED, place)]
    assert softenings(base, base, "diagnostics") == ()


@pytest.mark.parametrize("known", ["develop", None])
def test_what_led_to_the_base_is_a_rule_already(known: str | None) -> None:
    """A base that the default one's config names is not new, though the commit itself is older than that rule."""
    base = parse_bytes("x", (HEAD + STRICT).encode())
    changed = STRICT.replace("orchestrator spec-guard", "orchestrator spec-guard --base develop")
    now = parse_bytes("x", (HEAD + changed).encode())
    found = [entry.key for entry in softenings(base, now, "diagnostics", known_base=known)][:-1]  # the command changed
    assert found == ([] if known else [f"{STAGE}[spec-guard].run"])


def test_a_skip_of_another_stage_is_named() -> None:
    """It asks for nothing less, but a run with it does not show the whole pipeline; one that the base has does."""
    added = '[[pipelines.diagnostics.stages]]\nid = "docs"\nskip = "later"\n'
    assert compared(extra=added) == [(SKIP_ADDED, f"{STAGE}[docs].skip")]
    both = parse_bytes("x", (HEAD + STRICT + added).encode())
    assert softenings(both, both, "diagnostics") == ()


def test_a_waiver_that_is_new_or_longer_is_found() -> None:
    """One that ends sooner is not."""
    waiver = '[[waivers]]\nguardrail = "licences"\nreason = "r"\napproved_by = "a"\nuntil = "{}"\n'
    assert compared(extra=waiver.format("2026-12-01")) == [(POLICY_SOFTENED, "waivers")]
    base = parse_bytes("x", (HEAD + STRICT + waiver.format("2026-12-01")).encode())
    longer = parse_bytes("x", (HEAD + STRICT + waiver.format("2026-12-02")).encode())
    assert [entry.key for entry in softenings(base, longer, "diagnostics")] == ["waivers"]
    assert softenings(longer, base, "diagnostics") == ()


def test_a_waiver_of_a_stage_is_one_too() -> None:
    """It says that a stage need not have run, of whatever pipeline."""
    waiver = '[[waivers]]\nstage = "lint"\nreason = "r"\napproved_by = "a"\nuntil = "2026-12-01"\n'
    assert compared(extra=waiver) == [(POLICY_SOFTENED, "waivers")]


def test_a_stricter_config_and_another_command_ask_for_nothing_less() -> None:
    """A command that changed is only named; a skip that becomes a command, more reviews, more code are no softening."""
    changes = [
        ('run = "pytest"', 'run = "pytest -q"'),
        ('skip = "none"', 'run = "ruff"'),
        ("approvals = 2", "approvals = 3"),
        ('code = ["src/**"', 'code = ["lib/**", "src/**"'),
        ('max_review_age = "10d"', 'max_review_age = "5d"'),
        ("orchestrator spec-guard", "orchestrator spec-guard --task 1-x"),
    ]
    assert set(compared(*changes)) == {(COMMAND_CHANGED, f"{STAGE}[{name}]") for name in ("test", "lint", "spec-guard")}
    assert compared() == []


ENTRY = {"code": POLICY_SOFTENED, "key": "review.approvals", "message": "less"}
ALONE = {"code": POLICY_SOFTENED, "key": "review.alone", "message": "alone"}


def approval(state: str = "valid", reason: str = "", decision: str = "approve") -> dict[str, object]:
    """Return an approval with its validity."""
    return {"decision": decision, "validity": {"state": state, "reason": reason}}


OWN = approval(reason="approved by the run's own actor (the project's config allows it)")


@pytest.mark.parametrize(
    ("policy", "approvals", "unmet"),
    [
        ([], [], False),
        ([{**ENTRY, "code": COMMAND_CHANGED}], [], False),
        ([ENTRY], [], True),
        ([ENTRY], [approval()], False),
        ([ENTRY], [approval("own-run")], True),
        ([ENTRY], [approval(decision="comment")], True),
        ([ENTRY], [OWN], False),
        ([ENTRY, ALONE], [OWN], True),
        ([ENTRY, ALONE], [OWN, approval()], False),
    ],
)
def test_it_needs_an_approval_by_somebody_else(
    policy: list[dict[str, str]], approvals: list[dict[str, object]], unmet: bool
) -> None:
    """Unless the base lets the run's own account approve; that the config newly does is no leave."""
    assert [code for code, _ in unapproved_softening(policy, approvals)] == [POLICY_SOFTENED] * unmet


def test_of_another_project_each_stage_counts() -> None:
    """A pipeline that a run of another project reaches: every stage of it, not its reviews and gates."""
    more = '[[pipelines.nightly.stages]]\nid = "types"\nrun = "mypy"\n'
    base = parse_bytes("x", (HEAD + STRICT + more).encode())
    now = parse_bytes("x", (HEAD + STRICT + more.replace('run = "mypy"', 'run = "true"')).encode())
    now = now._replace(review=now.review._replace(approvals=0))
    place = "x: pipelines.nightly.stages[types]"
    found = [(entry.code, entry.key) for entry in softenings_reached(base, now, "nightly")]
    assert found == [(POLICY_SOFTENED, place), (COMMAND_CHANGED, place)]
    assert softenings_reached(base, base, "nightly") == ()


@pytest.mark.parametrize(
    "change",
    [
        ("[review]", '[session]\nset_env = { A = "b" }\n[review]'),
        ('run = "pytest"', 'run = "pytest"\nenv = { A = "b" }'),
    ],
)
def test_variables_of_a_command_are_named(change: tuple[str, str]) -> None:
    """What a stage's or a session's variables make of a command keeps no run from being ready, and is said."""
    assert [code for code, _ in compared(change)] == [COMMAND_CHANGED]


@pytest.mark.parametrize("key", ["retries = 5", 'inputs = ["none.txt"]'])
def test_fewer_real_passes_are_named(key: str) -> None:
    """More tries, and an earlier success that stands for one by other files, are said; the other way nothing is."""
    harder, softer = 'run = "pytest"', f'run = "pytest"\n{key}'
    place = f"{STAGE}[test].{key.split()[0]}"
    assert compared((harder, softer)) == [(COMMAND_CHANGED, place)]
    base, now = (parse_bytes("x", (HEAD + text).encode()) for text in (STRICT.replace(harder, softer), STRICT))
    assert softenings(base, now, "diagnostics") == ()


@pytest.mark.parametrize(
    ("base", "now", "keys"),
    [
        ("", 'since = "abcdef0"', ["docs.since"]),
        ('since = "abcdef0"', 'since = "abcdef1"', ["docs.since"]),
        ('since = "abcdef0"', 'since = "abcdef0"', []),
        ('since = "abcdef0"\nignore = ["a"]', "", []),
        ('ignore = ["a"]', 'ignore = ["b", "a"]', ["docs.ignore"]),
    ],
)
def test_documents_that_need_no_proof_are_found(base: str, now: str, keys: list[str]) -> None:
    """A baseline that is another, and pages that are newly not read, excuse ticks; fewer of both excuse none."""
    policies = (docs_policy_of(f"schema_version = 1\n[docs]\n{text}\n".encode()) for text in (base, now))
    found = [(entry.code, entry.key) for entry in docs_softenings(*policies)]
    assert found == [(POLICY_SOFTENED, f"workspace.toml: {key}") for key in keys]
