"""The spec guard's rules, with a git that says what the test wants."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.finding import Finding
from orchestrator.checks.spec_guard.forms import render_text
from orchestrator.checks.spec_guard.guard import run
from orchestrator.checks.spec_guard.repository import GitReply, UnseenByGit
from orchestrator.checks.spec_guard.spec_age import review_findings
from orchestrator.checks.spec_guard.values import Question, Report
from orchestrator.config.spec_guard_policy import SpecGuardPolicy

TODAY = date(2026, 11, 22)
DEFAULT = SpecGuardPolicy()
FRESH = "---\nlast_review: 2026-11-22\n---\n# Spec\n"
BRANCHES = "for-each-ref --format=%(refname) %(objectname) %(symref)"
NO_REPOSITORY = GitReply(128, "", "fatal: not a git repository")
Answers = Mapping[str, GitReply]


class FakeGit:
    """A repository with one branch besides ``main``; ``changed`` are the files that differ from the base."""

    def __init__(self, top: Path, changed: Sequence[str] = (), answers: Answers = MappingProxyType({})) -> None:
        self.answers = {
            "rev-parse --show-toplevel": GitReply(0, f"{top}\n"),
            "rev-parse --verify": GitReply(0, "c0ffee\n"),
            "check-ignore --quiet": GitReply(1, ""),
            "rev-parse HEAD": GitReply(0, "c0ffee\n"),
            BRANCHES: GitReply(0, "refs/heads/main\nrefs/heads/topic\n"),
            "merge-base": GitReply(0, "ba5e\n"),
            "diff -z": GitReply(0, "".join(f"{name}\0" for name in changed)),
            "ls-files --others": GitReply(0, ""),
            "ls-files --cached": GitReply(0, "packages/a/src/a.py\0"),
            "rev-list HEAD": GitReply(0, "c0ffee\n"),
            "rev-list --parents": GitReply(0, "c0ffee fa7e0\n"),
            "hash-object -t": GitReply(0, "e3f7\n"),
            "cat-file blob": GitReply(128, ""),
        }
        self.answers.update(answers)
        self.asked: list[Sequence[str]] = []
        self.cut: frozenset[str] = frozenset()

    def __call__(self, args: Sequence[str]) -> GitReply:
        """Answer by the first two arguments, else by the first."""
        self.asked.append(args)
        return self.answers.get(" ".join(args[:2])) or self.answers[args[0]]

    def together(self, *commands: Sequence[str]) -> list[GitReply]:
        """Answer each command by itself."""
        return [self(command) for command in commands]

    def unseen(self, folder: str, named: frozenset[str]) -> UnseenByGit:
        """Git sees all that is on disk here."""
        return UnseenByGit()

    def shallow(self) -> frozenset[str]:
        """The commits that ``cut`` names are where a shallow clone ends."""
        return self.cut


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one project and its fresh spec."""
    _put(tmp_path, "tasks/specs/1001-a.md", FRESH)
    _put(tmp_path, "packages/a/src/a.py", "")
    return tmp_path.resolve()


def _put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _guard(
    root: Path,
    git: FakeGit,
    base: str = "",
    path: str = "packages/a",
    task: str = "1001-a",
    policy: SpecGuardPolicy = DEFAULT,
) -> Report:
    records = (str(root / ".runs"), str(root / "out"))
    question = Question(str(root), path, task, TODAY, base, policy, records, runs_code=True)
    return run(question, lambda folder: git)


def _rules(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("changed", ["packages/a/src/a.py", "packages/a/pyproject.toml"])
def test_code_without_spec_is_a_finding(root: Path, changed: str) -> None:
    """Code below the project's folder that changed alone is named in a finding."""
    report = _guard(root, FakeGit(root, [changed]))
    assert _rules(report) == ["code-without-spec"]
    assert report.findings[0].message.endswith(f": {changed.removeprefix('packages/a/')}")
    assert "tasks/specs/" in report.findings[0].hint
    assert report.findings[0].files == (changed,)
    assert report.base == "ba5e"


@pytest.mark.parametrize(
    ("changed", "passes"),
    [
        ("tasks/specs/1001-a.md", True),
        ("tasks/specs/1001-a.api.md", True),
        ("tasks/specs/1001-a-api.md", True),
        ("tasks/specs/1001-a-web.md", False),
        ("tasks/specs/1001-a-web-ui.md", False),
        ("tasks/specs/1001-ab.md", False),
        ("tasks/specs/unrelated.md", False),
        ("tasks/index.json", False),
    ],
)
def test_only_the_tasks_own_spec_answers(root: Path, changed: str, passes: bool) -> None:
    """A spec answers for code by its task's name, unless a longer task id fits better; the index never does."""
    _put(root, "tasks/index.json", '{"items": [{"id": "1001-a-web", "project": "web"}]}')
    if changed != "tasks/index.json":
        _put(root, changed, FRESH)
    report = _guard(root, FakeGit(root, ["packages/a/src/a.py", changed]))
    assert _rules(report) == ([] if passes else ["code-without-spec"])


def test_a_deleted_spec_does_not_count_as_its_change(root: Path) -> None:
    """Removing a spec is no way to pass."""
    report = _guard(root, FakeGit(root, ["packages/a/src/a.py", "tasks/specs/1000-gone.md"]))
    assert _rules(report) == ["code-without-spec"]


@pytest.mark.parametrize(
    "changed", ["packages/ab/x.py", "README.md", "packages/a/README.md", "packages/a/docs/x.txt", "noxfile.py"]
)
def test_what_is_not_the_projects_code_needs_no_spec(root: Path, changed: str) -> None:
    """Neighbours, documents and what runs leave behind are not the project's code."""
    assert _guard(root, FakeGit(root, [changed])).passed


@pytest.mark.parametrize("changed", ["dist/a.whl", "build/x", "a.egg-info/PKG-INFO", "coverage/x", "target/x"])
def test_what_a_build_leaves_is_no_code_unless_it_is_tracked(root: Path, changed: str) -> None:
    """Untracked products need no spec, though nothing ignores them."""
    untracked = GitReply(0, f"packages/a/{changed}\0")
    assert _guard(root, FakeGit(root, answers={"ls-files --others": untracked})).passed
    assert _rules(_guard(root, FakeGit(root, [f"packages/a/{changed}"]))) == ["code-without-spec"]


@pytest.mark.parametrize("changed", ["web/node_modules/x.js", "src/__pycache__/x", "src/a.pyc", ".venv/bin/x"])
def test_caches_are_no_code_at_any_depth(root: Path, changed: str) -> None:
    """What tools leave anywhere in a tree needs no spec while git does not track it."""
    untracked = GitReply(0, f"packages/a/{changed}\0packages/a/src/build/x.py\0")
    report = _guard(root, FakeGit(root, answers={"ls-files --others": untracked}))
    assert report.findings[0].files == ("packages/a/src/build/x.py",)


@pytest.mark.parametrize(
    ("policy", "changed", "passes"),
    [
        (SpecGuardPolicy(code=("src/**",)), "packages/a/tests/x.py", True),
        (SpecGuardPolicy(code=("src/**",)), "packages/a/src/x.py", False),
        (SpecGuardPolicy(exclude=("x.py",)), "packages/a/src/x.py", True),
        (SpecGuardPolicy(exclude=()), "packages/a/README.md", False),
    ],
)
def test_the_config_says_what_code_is(root: Path, policy: SpecGuardPolicy, changed: str, passes: bool) -> None:
    """``code`` and ``exclude`` decide."""
    assert _guard(root, FakeGit(root, [changed]), policy=policy).passed is passes


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (SpecGuardPolicy(code=()), "by [spec_guard]"),
        (SpecGuardPolicy(code=("no-such-thing",)), "by [spec_guard]"),
        (SpecGuardPolicy(exclude=("*",)), "by [spec_guard]"),
        (DEFAULT, "build or test runs something"),
    ],
)
def test_a_project_without_code_is_not_compared(root: Path, policy: SpecGuardPolicy, reason: str) -> None:
    """A guard that guards nothing says so, and does not pass."""
    listed = "README.md" if policy == DEFAULT else "src/a.py"
    git = FakeGit(root, answers={"ls-files --cached": GitReply(0, f"packages/a/{listed}\0")})
    report = _guard(root, git, policy=policy)
    assert (report.findings, report.passed) == ((), False)
    assert reason in report.nothing_compared


def test_the_config_says_which_specs_answer(root: Path) -> None:
    """What ``specs`` names answers too, and is to be reviewed."""
    policy = SpecGuardPolicy(specs=("design/**/*.md",), max_review_age=7)
    _put(root, "design/api/a.md", "---\nlast_review: 2026-11-14\n---\n")
    both = ["packages/a/src/a.py", "tasks/specs/1002-b.md"]
    report = _guard(root, FakeGit(root, both), policy=policy)
    assert _rules(report) == ["code-without-spec", "review-stale"]
    assert "design/**/*.md" in report.findings[0].hint
    assert "7 are allowed" in report.findings[1].message
    assert _rules(_guard(root, FakeGit(root, [*both, "design/api/a.md"]), policy=policy)) == ["review-stale"]


def test_a_spec_in_the_projects_folder_is_no_code(root: Path) -> None:
    """A spec that lies beside the code answers for it and needs no other."""
    _put(root, "packages/a/spec.txt", "")
    policy = SpecGuardPolicy(specs=("packages/a/spec.txt",))
    assert _guard(root, FakeGit(root, ["packages/a/spec.txt"]), policy=policy).passed
    assert _guard(root, FakeGit(root, ["packages/a/spec.txt", "packages/a/a.py"]), policy=policy).passed


def test_the_configs_base_comes_after_the_named_one(root: Path) -> None:
    """``base`` of the config takes the default branch's place, and $BASE_SHA takes its."""
    policy, git = SpecGuardPolicy(base="origin/develop"), FakeGit(root)
    _guard(root, git, policy=policy)
    _guard(root, git, policy=policy, base="abc123")
    _guard(root, git, policy=policy, base="0" * 40)
    asked = [args[1] for args in git.asked if args[0] == "merge-base"]
    assert asked == ["origin/develop", "abc123", "origin/develop"]


def test_a_project_that_git_ignores_is_not_compared(root: Path) -> None:
    """Where git sees nothing change, nothing passed."""
    report = _guard(root, FakeGit(root, answers={"check-ignore --quiet": GitReply(0, "")}))
    assert not report.passed
    assert "git ignores 'packages/a'" in report.nothing_compared


def test_specs_that_were_removed_altogether_are_missed(root: Path) -> None:
    """Removing ``tasks/specs/`` with the code's change is a finding; never having had it compares nothing."""
    (root / "tasks/specs/1001-a.md").unlink()
    (root / "tasks/specs").rmdir()
    changed = ["packages/a/src/a.py", "tasks/specs/1001-a.md"]
    assert _rules(_guard(root, FakeGit(root, changed))) == ["code-without-spec"]
    report = _guard(root, FakeGit(root, changed[:1]))
    assert (report.findings, report.passed) == ((), False)
    assert "no tasks/specs/" in report.nothing_compared


@pytest.mark.parametrize("changed", ["tasks/x.json", ".agent/x.py", ".runs/x", "out/1/state.json", "docs/conf.py"])
def test_a_project_at_the_root_has_everything_but_records_and_documents(root: Path, changed: str) -> None:
    """With path "." the workspace's own tasks, documents and records are not code."""
    assert _guard(root, FakeGit(root, [changed]), path=".").passed
    assert _rules(_guard(root, FakeGit(root, [changed, "src/x.py"]), path=".")) == ["code-without-spec"]


@pytest.mark.parametrize("changed", ["project_configs/a.toml", "workspace.toml"])
def test_a_config_of_the_workspace_needs_no_spec(root: Path, changed: str) -> None:
    """A tool that is raised in it is no change of code, wherever the project lies; code beside configs is code."""
    assert _guard(root, FakeGit(root, [changed]), path=".").passed
    for code in ("project_configs/a.py", "project_configs/sub/a.toml", f"src/{changed}"):
        assert _rules(_guard(root, FakeGit(root, [changed, code]), path=".")) == ["code-without-spec"]


def test_a_workspace_below_the_repositorys_top_is_found(root: Path) -> None:
    """Names that git gives from its top are matched with a workspace further down."""
    name = root.name
    assert _rules(_guard(root, FakeGit(root.parent, [f"{name}/packages/a/src/a.py"]))) == ["code-without-spec"]
    both = [f"{name}/packages/a/src/a.py", f"{name}/tasks/specs/1001-a.md"]
    assert _guard(root, FakeGit(root.parent, both)).passed


def test_a_named_base_is_compared_with(root: Path) -> None:
    """$BASE_SHA wins over the default branch."""
    git = FakeGit(root)
    _guard(root, git, base="abc123")
    assert ["merge-base", "abc123", "HEAD"] in git.asked


def test_an_unknown_base_is_a_finding(root: Path) -> None:
    """A base that the repository does not have is never passed over."""
    git = FakeGit(root, answers={"merge-base": GitReply(1, "")})
    assert _rules(_guard(root, git, base="abc123")) == ["base-unknown"]
    assert _rules(_guard(root, FakeGit(root), base="--output=x")) == ["base-unknown"]


def test_an_unknown_base_is_named_by_who_gave_it(root: Path) -> None:
    """The finding names the option or variable that was used, and asks for another commit, not for what was done."""
    question = Question(str(root), "packages/a", "1001-a", TODAY, "-x", named_by="--base", runs_code=True)
    (finding,) = run(question, lambda folder: FakeGit(root)).findings
    assert finding.message.startswith("--base '-x' is not a commit of this repository: name a commit")
    assert "$BASE_SHA" not in finding.message


def test_a_shallow_clone_says_how_to_repair_it(root: Path) -> None:
    """In a shallow clone without a base the finding names the missing history."""
    git = FakeGit(root, answers={BRANCHES: GitReply(0, "")})
    git.cut = frozenset({"c0ffee"})
    report = _guard(root, git)
    assert _rules(report) == ["base-unknown"]
    assert "shallow" in report.findings[0].message


def test_a_shallow_clone_that_stands_on_its_base_does_not_pass(root: Path) -> None:
    """What led to HEAD was cut off, so that "nothing changed" can't be told."""
    git = FakeGit(root, answers={"merge-base": GitReply(0, "c0ffee\n")})
    git.cut = frozenset({"c0ffee"})
    report = _guard(root, git)
    assert _rules(report) == ["history-shallow"]
    assert "fetch-depth" in report.findings[0].message


def test_a_shallow_clone_that_reaches_its_base_is_noted(root: Path) -> None:
    """Where the base is there, changes are compared, and the report says that the history is not whole."""
    git = FakeGit(root)
    git.cut = frozenset({"0ld"})
    report = _guard(root, git)
    assert (report.passed, report.base) == (True, "ba5e")
    assert "shallow" in report.notes[0]
    git.cut = frozenset({"c0ffee"})
    assert _rules(_guard(root, git)) == ["history-shallow"]


def test_a_pull_requests_reference_is_no_default_branch(root: Path) -> None:
    """CI fetches one reference, detached: that is what is judged, and nothing to compare it with."""
    answers = {BRANCHES: GitReply(0, "refs/remotes/pull/5/merge\n")}
    report = _guard(root, FakeGit(root, answers=answers))
    assert (report.findings, "no default branch" in report.nothing_compared) == ((), True)
    git = FakeGit(root, answers=answers)
    git.cut = frozenset({"c0ffee"})
    assert _rules(_guard(root, git)) == ["base-unknown"]
    answers = {BRANCHES: GitReply(0, "refs/heads/trunk\n")}
    assert _guard(root, FakeGit(root, answers=answers)).passed


def test_a_base_that_is_head_is_compared_with_its_first_parent(root: Path) -> None:
    """When HEAD is the base, uncommitted changes are compared with it, else HEAD with its first parent."""
    answers = {"merge-base": GitReply(0, "c0ffee\n")}
    report = _guard(root, FakeGit(root, answers=answers))
    assert (report.passed, report.base) == (True, "fa7e0")
    report = _guard(root, FakeGit(root, ["packages/a/src/a.py"], answers=answers))
    assert (_rules(report), report.base) == (["code-without-spec"], "c0ffee")


def test_a_root_commit_needs_its_spec(root: Path) -> None:
    """A commit without a parent passes when the task's spec is there, else nothing was compared."""
    answers = {"merge-base": GitReply(0, "c0ffee\n"), "rev-list --parents": GitReply(0, "c0ffee\n")}
    report = _guard(root, FakeGit(root, answers=answers))
    assert (report.passed, report.base) == (True, None)
    (root / "tasks/specs/1001-a.md").unlink()
    report = _guard(root, FakeGit(root, answers=answers))
    assert (report.findings, "root commit" in report.nothing_compared) == ((), True)


def test_a_zero_base_means_a_new_branch(root: Path) -> None:
    """The all-zero base that forges send for a new branch falls back to the default branch, and says so."""
    git = FakeGit(root, ["packages/a/src/a.py"])
    report = _guard(root, git, base="0" * 40)
    assert _rules(report) == ["code-without-spec"]
    assert "all zeros" in report.notes[0]


def test_without_a_repository_the_dates_are_still_checked(root: Path) -> None:
    """Outside git nothing is compared, and an old review is a finding."""
    _put(root, "tasks/specs/1001-a.md", "---\nlast_review: 2026-01-01\n---\n")
    report = _guard(root, FakeGit(root, answers={"rev-parse --show-toplevel": NO_REPOSITORY}))
    assert _rules(report) == ["review-stale"]
    assert "not a git repository" in report.nothing_compared


def test_a_repository_that_git_refuses_is_a_finding(root: Path) -> None:
    """A repository that git can't read (wrong owner, no git) is not taken for no repository."""
    (root / ".git").mkdir()
    report = _guard(
        root, FakeGit(root, answers={"rev-parse --show-toplevel": GitReply(None, "", "no such file: 'git'")})
    )
    assert _rules(report) == ["git-failed"]
    assert "no such file" in report.findings[0].message


def test_a_failing_comparison_is_a_finding(root: Path) -> None:
    """When git can't compare, that is a finding with git's own words, made printable."""
    git = FakeGit(root, answers={"ls-files --others": GitReply(128, "", "fatal: \x1b[2Jbad index")})
    report = _guard(root, git)
    assert _rules(report) == ["git-failed"]
    assert "\\x1b[2Jbad index" in report.findings[0].message


def test_no_commit_yet_compares_nothing(root: Path) -> None:
    """A repository without a commit has nothing to compare with."""
    report = _guard(root, FakeGit(root, answers={"rev-parse --verify": GitReply(1, "")}))
    assert (report.passed, report.base) == (False, None)
    assert "no commit yet" in report.nothing_compared


def test_a_workspace_without_specs_compares_nothing(tmp_path: Path) -> None:
    """A codebase that was only just brought in fails nothing, and does not pass."""
    report = _guard(tmp_path, FakeGit(tmp_path, ["packages/a/a.py"]))
    assert (report.findings, report.passed) == ((), False)
    assert "no tasks/specs/" in report.nothing_compared


def test_a_task_without_a_spec_is_a_note_until_it_is_listed(root: Path) -> None:
    """A task in tasks/index.json owes a spec; another one is only noted."""
    git = FakeGit(root)
    assert "no spec tasks/specs/1002-b.md" in _guard(root, git, task="1002-b").notes[-1]
    _put(root, "tasks/index.json", '{"items": [{"id": "1002-b"}]}')
    assert _rules(_guard(root, git, task="1002-b")) == ["spec-missing"]


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"items": 3}', '{"items": [1, null, {}]}', "[" * 100_000])
def test_a_broken_index_is_a_finding(root: Path, index: str) -> None:
    """Whatever stands in tasks/index.json, the guard gives a report; what can't be read switches nothing off."""
    _put(root, "tasks/index.json", index)
    report = _guard(root, FakeGit(root), task="1002-b")
    assert _rules(report) == ["document-unreadable"]
    assert "tasks/index.json" not in report.findings[0].message  # its place is said once


def test_specs_of_other_tasks_are_not_our_business(root: Path) -> None:
    """Only <task>.md, <task>-<topic>.md and <task>.<topic>.md are read."""
    _put(root, "tasks/specs/1001-ab.md", "stale")
    _put(root, "tasks/specs/2.md", "stale")
    assert _guard(root, FakeGit(root)).passed
    _put(root, "tasks/specs/1001-a-api.md", "no front matter")
    assert [finding.path for finding in _guard(root, FakeGit(root)).findings] == ["tasks/specs/1001-a-api.md"]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("", "review-missing", 1),
        ("# Spec\nlast_review: 2026-11-22\n", "review-missing", 1),
        ("---\ntitle: x\n---\nlast_review: 2026-11-22\n", "review-missing", 1),
        ("---\nlast_review: 2026-11-22\n", "review-malformed", 1),
        ("---\nlast_review:\n---\n", "review-malformed", 2),
        ("---\nlast_review: 22.11.2026\n---\n", "review-malformed", 2),
        ("---\nlast_review: 20261122\n---\n", "review-malformed", 2),
        ("---\nlast_review: 2026-02-30\n---\n", "review-malformed", 2),
        ("---\nlast_review: 2026-11-22\nlast_review: 2026-11-22\n---\n", "review-malformed", 3),
        ("---\na: b\nlast_review: 2026-11-24\n---\n", "review-in-future", 3),
        ("---\nlast_review: 2026-10-22\n---\n", "review-stale", 2),
    ],
)
def test_bad_review_dates(text: str, rule: str, line: int) -> None:
    """Missing, malformed, future and old dates are findings at their line."""
    assert [(found.code, found.line) for found in review_findings("s.md", text, TODAY)] == [(rule, line)]


@pytest.mark.parametrize(
    "text",
    [
        "---\nlast_review: 2026-10-23\n---\n",
        "---\r\nlast_review: '2026-11-22'\r\n---\r\n",
        '---\nlast_review : "2026-11-23"  # by the team\n...\n',
    ],
)
def test_good_review_dates(text: str) -> None:
    """30 days ago, today and a date east of UTC pass, quoted or not, with any line ends."""
    assert review_findings("s.md", text, TODAY) == ()


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 1, 1)))
def test_any_date_is_judged_by_its_distance(reviewed: date) -> None:
    """A date passes exactly when it lies between 30 days ago and tomorrow, or up to then where any age will do."""
    found = review_findings("s.md", f"---\nlast_review: {reviewed}\n---\n", TODAY)
    assert (found == ()) == (TODAY - timedelta(days=30) <= reviewed <= TODAY + timedelta(days=1))
    found = review_findings("s.md", f"---\nlast_review: {reviewed}\n---\n", TODAY, None)
    assert (found == ()) == (reviewed <= TODAY + timedelta(days=1))


@given(st.text())
def test_any_text_gives_at_most_one_finding(text: str) -> None:
    """No spec text makes the parser fail."""
    assert len(review_findings("s.md", text, TODAY)) <= 1
    assert len(review_findings("s.md", f"---\n{text}\n---\n", TODAY)) <= 1


def test_the_report_reads_as_places_notes_and_a_verdict() -> None:
    """The text names path and line, then the notes, and the verdict last."""
    findings = (Finding("a", "x.md", "is old", 3), Finding("b", "packages/a", "has changed"))
    assert render_text(Report(findings, ("not compared",), "ba5e" * 10)) == (
        "x.md:3: is old [a]\npackages/a: has changed [b]\nnote: not compared\n"
        "spec-guard: 2 findings (compared with ba5eba5eba5e)\n"
    )
    assert render_text(Report((), (), None)) == "spec-guard: passed\n"


def test_odd_file_names_are_printable(root: Path) -> None:
    """A file name with control characters or without an encoding can't break the report."""
    name = os.fsdecode(b"packages/a/\x1b[2J\xff.py")
    report = _guard(root, FakeGit(root, [name]))
    assert render_text(report).encode("utf-8").isascii()
    assert "\\x1b[2J\\udcff.py" in report.findings[0].message
