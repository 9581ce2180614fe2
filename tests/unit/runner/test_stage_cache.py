"""A stage is spared only when all that its success rested on is as it was, and a run still shows that success."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.model.manifest.command import Reused
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import closed, stage_ended, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.stage_cache import Lookup, Place, StageCache, may_reuse
from orchestrator.runner.stage_cache.entries import Entries, Entry
from orchestrator.runner.stage_cache.explain import explained
from orchestrator.runner.stage_cache.ignored import Ignored
from orchestrator.store.cited_run import CitedSuccess
from tests.records import TASK, make_manifest, make_plan, make_workspace

BUILD = PlannedStage("build", "Build", "shell", shell="make", inputs=("src/**",), outputs=("dist/*",))
CHECK = PlannedStage("check", "Check", "shell", shell="check", inputs=("src/**", "dist/*"), needs=("build",))


FAR_NS = time.time_ns() + 3_600 * 1_000_000_000


class Scene:
    """A codebase, its plan and its cache, with a PATH of its own; time passes between two looks."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "packages" / "hello"
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        self.tool("make", "echo 1")
        self.write("src/a.py", "a = 1")
        self.write("src/b.py", "b = 1")
        self.env: dict[str, str] = {"PATH": str(self.bin), "LANG": "C"}
        self.plan = make_plan(BUILD, CHECK)
        self.made_from = "env-1"
        self.workspace = make_workspace(root)
        self.entries = Entries(self.workspace, (TASK, "hello", "diagnostics"))
        os.makedirs(self.workspace.runs_dir)
        self.vouched = True
        # As if the cited run had begun and ended after all that is written here.
        self.cited = CitedSuccess(FAR_NS, FAR_NS, {})
        self.made: dict[str, str | None] = {}

    def write(self, relative: str, text: str) -> Path:
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def tool(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def cache(self, *, fresh: bool = False) -> StageCache:
        place = Place(self.workspace, TASK, str(self.folder), None, self.made_from)
        return StageCache(
            plan=self.plan,
            place=place,
            env_of=lambda stage: {**self.env, **stage.env},
            cited=lambda stage_id, reused: self.cited if self.vouched else None,
            made=lambda stage_id, reused: self.made.get(stage_id),
            entries=self.entries,
            ignored=Ignored(str(self.folder), {"PATH": os.environ["PATH"]}),
            # As if a second had passed since the files were written: their status proves something.
            now_ns=lambda: time.time_ns() + 1_000_000_000,
            fresh=fresh,
        )

    def succeed(self, stage: PlannedStage = BUILD, during: Callable[[], None] = lambda: None) -> Manifest:
        """Run ``stage`` as the pipeline would, in a run that succeeds; ``during`` is what it does besides."""
        cache = self.cache(fresh=True)
        lookup = cache.lookup(stage)
        cache.started()
        if stage.outputs:
            self.write("dist/app", "built")
        during()
        self.made[stage.id] = cache.ended(stage, succeeded=True)
        manifest = ended(self.plan, stage, lookup)
        cache.store(manifest)
        return manifest

    def lookup(self, stage: PlannedStage = BUILD) -> Lookup:
        return self.cache().lookup(stage)


def ended(plan: Plan, stage: PlannedStage, lookup: Lookup, outcome: str = "success") -> Manifest:
    """Return the record of a run whose ``stage`` succeeded, and which ended with ``outcome``."""
    manifest = stage_started(make_manifest(plan=plan), stage.id, "2026-11-22T08:43:06.000Z", "log", lookup.key)
    manifest = stage_ended(
        manifest, stage.id, "2026-11-22T08:43:07.000Z", Ended("success", 0), summary=None, left_out=0, forgiven=False
    )
    assert outcome in ("success", "failure")
    return closed(manifest, "2026-11-22T08:43:08.000Z", "success" if outcome == "success" else "failure", None, None)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A codebase whose build has never run."""
    return Scene(tmp_path)


def test_a_success_is_cited_while_nothing_changed(scene: Scene) -> None:
    """The same stage on the same files is spared, and the run that shows its success is named."""
    assert scene.lookup().reasons == ("no success of it in a run that succeeded is stored",)
    manifest = scene.succeed()
    found = scene.lookup()
    assert found.reused is not None
    assert found.reused.run_id == manifest.run_id
    assert found.reused.cache_key == manifest.command("build").cache_key


def edit(scene: Scene) -> None:
    """Write something else of the same length, with the old time of modification."""
    path = scene.folder / "src/a.py"
    before = path.stat()
    path.write_text("a = 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename(scene: Scene) -> None:
    """Give a file another name."""
    (scene.folder / "src/a.py").rename(scene.folder / "src/c.py")


def swap(scene: Scene) -> None:
    """Let two files change names, so that all names, sizes and times are there again."""
    first, second, aside = (scene.folder / "src" / name for name in ("a.py", "b.py", "x"))
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def change_stage(scene: Scene) -> None:
    """Change the command."""
    scene.plan = make_plan(BUILD._replace(shell="make all"), CHECK)


CHANGES: Mapping[str, tuple[Callable[[Scene], object], str]] = {
    "an input edited, its time set back": (edit, "inputs changed: src/a.py"),
    "an input removed": (lambda scene: (scene.folder / "src/a.py").unlink(), "inputs changed: src/a.py (removed)"),
    "an input added": (lambda scene: scene.write("src/sub/new.py", ""), "inputs changed: src/sub/new.py (added)"),
    "an input renamed": (rename, "inputs changed: src/a.py (removed), src/c.py (added)"),
    "two inputs swapped": (swap, "inputs changed: src/a.py, src/b.py"),
    "an input made executable": (lambda scene: (scene.folder / "src/a.py").chmod(0o755), "inputs changed: src/a.py"),
    "a variable changed": (lambda scene: scene.env.update(LANG="de_DE"), "variables changed: LANG"),
    "a variable added": (lambda scene: scene.env.update(CI="1"), "variables changed: CI (added)"),
    "a tool replaced": (lambda scene: scene.tool("make", "echo 2 2"), "tools changed: make"),
    "the session changed": (
        lambda scene: setattr(scene, "made_from", "env-2"),
        "the session's config or environment changed",
    ),
    "an output edited": (lambda scene: scene.write("dist/app", "other"), "outputs changed: dist/app"),
    "an output added": (lambda scene: scene.write("dist/b", ""), "outputs changed: dist/b (added)"),
    "outputs removed": (lambda scene: (scene.folder / "dist/app").unlink(), "no declared output is there"),
    "the run is gone": (lambda scene: setattr(scene, "vouched", False), "is gone or is another record now"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_stage_runs_and_says_why(scene: Scene, change: str) -> None:
    """Each thing that a success rests on, changed alone, has the stage run, and is named."""
    scene.succeed()
    act, reason = CHANGES[change]
    act(scene)
    found = scene.lookup()
    assert found.reused is None
    assert any(reason in told for told in found.reasons), found.reasons


def test_another_command_is_other_work(scene: Scene) -> None:
    """A changed command has the stage run, and the reason is the config."""
    scene.succeed()
    change_stage(scene)
    assert "the stage's config changed" in scene.cache().lookup(scene.plan.stage("build")).reasons


def test_a_touched_input_is_no_change(scene: Scene) -> None:
    """A file whose status changed is read again: the same content is the same input, and is remembered so."""
    scene.succeed()
    os.utime(scene.folder / "src/a.py")
    before = scene.entries.get("build")
    assert scene.lookup().reused is not None
    assert scene.entries.get("build") != before


def test_an_unchanged_input_is_not_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the status is the same and proves something, no file is opened but the cache's."""
    scene.succeed()
    opened: list[str] = []
    real = os.open

    def watch(path: str, *args: object, **options: object) -> int:
        opened.append(str(path))
        return real(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", watch)
    assert scene.lookup().reused is not None
    assert not [path for path in opened if "/src/" in path or path.endswith("dist/app")]


def test_a_status_that_proves_nothing_is_not_trusted(scene: Scene) -> None:
    """A file that was written just before it was read is read again: another write could look the same."""
    cache = scene.cache()
    written = scene.write("src/a.py", "a = 3")
    cache.now_ns = lambda: written.stat().st_mtime_ns
    lookup = cache.lookup(BUILD)
    assert lookup.observation is not None
    assert not lookup.observation.inputs["src/a.py"].settled


def test_a_status_is_believed_only_of_what_did_not_change_since(scene: Scene) -> None:
    """A row whose status is that of an edited file is the entry's own account: the file is read again."""
    scene.succeed()
    scene.cited = CitedSuccess(time.time_ns(), time.time_ns(), {})
    time.sleep(0.05)
    place = scene.folder / "src/a.py"
    place.write_text("a = 2")
    status = place.stat()
    stored = scene.entries.get("build")
    assert isinstance(stored, Entry)
    row = stored.observation.inputs["src/a.py"]._replace(
        status=(
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            status.st_dev,
            status.st_mode,
        ),
        settled=True,
    )
    observation = stored.observation._replace(inputs={**stored.observation.inputs, "src/a.py": row})
    scene.entries.put("build", stored._replace(observation=observation))
    assert scene.lookup().reasons == ("inputs changed: src/a.py",)


def test_outputs_are_those_that_the_cited_run_left(scene: Scene) -> None:
    """An entry whose account of the outputs fits other files is not believed: the run's events say what was made."""
    scene.succeed()
    assert scene.lookup().reused is not None
    scene.write("dist/app", "evil!")
    stored = scene.entries.get("build")
    assert isinstance(stored, Entry)
    outputs = {
        path: state._replace(content="-" + sha256(b"evil!").hexdigest()) for path, state in stored.outputs.items()
    }
    scene.entries.put("build", stored._replace(outputs=outputs))
    assert "did not leave these outputs" in "".join(scene.lookup().reasons)


def test_a_failed_run_keeps_nothing(scene: Scene) -> None:
    """A stage that succeeded in a run that failed has to run again."""
    cache = scene.cache()
    lookup = cache.lookup(BUILD)
    scene.write("dist/app", "built")
    cache.ended(BUILD, succeeded=True)
    cache.store(ended(scene.plan, BUILD, lookup, outcome="failure"))
    assert scene.lookup().reused is None


def test_a_failure_ends_what_was_stored(scene: Scene) -> None:
    """When the same work fails later, the earlier success stands for nothing any more."""
    scene.succeed()
    cache = scene.cache(fresh=True)
    cache.lookup(BUILD)
    cache.ended(BUILD, succeeded=False)
    assert scene.lookup().reused is None


@pytest.mark.parametrize(
    ("during", "reason"),
    [
        (lambda scene: scene.write("src/a.py", "formatted"), "inputs changed: src/a.py"),
        (lambda scene: scene.write("src/a.py", "a = 1"), "'src/a.py' was written"),
        (lambda scene: scene.write("src/new.py", ""), "inputs changed: src/new.py (added)"),
        (lambda scene: scene.tool("make", "echo other"), "tools changed: make"),
    ],
)
def test_what_changes_while_a_stage_runs_is_not_stored(
    scene: Scene, during: Callable[[Scene], object], reason: str
) -> None:
    """A success on files that moved meanwhile proves nothing about either state of them, and this is told."""
    time.sleep(0.03)  # past the tick of the file system's clock, so that a write is seen by its time
    scene.succeed(during=lambda: (during(scene), None)[1])
    assert reason in scene.lookup().reasons[0]


def test_outputs_that_were_not_made_are_reported(scene: Scene) -> None:
    """A stage that declares outputs and leaves none is run again, and the reason is there."""
    scene.succeed(during=lambda: (scene.folder / "dist/app").unlink())
    assert "no declared output is there" in scene.lookup().reasons[0]


def test_what_a_stage_needs_counts_as_its_input(scene: Scene) -> None:
    """The declared outputs of the stages before it are looked at, whether its own inputs name them or not."""
    check = CHECK._replace(inputs=("src/**",))
    scene.plan = make_plan(BUILD, check)
    scene.write("dist/app", "built")
    scene.succeed(check)
    assert scene.lookup(check).reused is not None
    scene.write("dist/app", "built otherwise")
    assert scene.lookup(check).reasons == ("inputs changed: dist/app",)


def test_a_file_that_the_command_names_counts_as_its_input(scene: Scene) -> None:
    """A script of the codebase that the command starts has the stage run when it changes."""
    scene.write("scripts/check.sh", "exit 0")
    scene.plan = make_plan(BUILD._replace(shell="sh scripts/check.sh && make"), CHECK)
    build = scene.plan.stage("build")
    scene.succeed(build)
    assert scene.lookup(build).reused is not None
    scene.write("scripts/check.sh", "exit 0 # still")
    assert scene.lookup(build).reasons == ("inputs changed: scripts/check.sh",)


def test_a_link_counts_by_what_stands_there(scene: Scene) -> None:
    """A link to a file is read at each lookup; one to a folder is not supported, and the stage always runs."""
    outside = scene.write("elsewhere.txt", "1")
    (scene.folder / "src/link").symlink_to(outside)
    scene.succeed()
    assert scene.lookup().reused is not None
    outside.write_text("2")
    assert scene.lookup().reasons == ("inputs changed: src/link",)
    (scene.folder / "src/folder").symlink_to(scene.folder)
    assert "is a link to" in scene.lookup().reasons[0]


def test_a_folder_behind_a_link_has_the_stage_run(scene: Scene) -> None:
    """What a glob means may lie behind a link to a folder, which is not followed: then nothing is spared."""
    (scene.folder / "other").mkdir()
    (scene.folder / "shared").symlink_to(scene.folder / "other")
    for inputs in (("src/**", "shared/**"), ("src/**", "*/x")):
        scene.plan = make_plan(BUILD._replace(inputs=inputs), CHECK)
        assert "is a link to a folder" in scene.lookup(scene.plan.stage("build")).reasons[0]


def test_a_file_named_with_a_space_counts(scene: Scene) -> None:
    """An argument is a name as a whole, not only in its parts."""
    scene.write("my file(1).txt", "1")
    build = PlannedStage("build", "Build", "command", argv=("cat", "my file(1).txt"), inputs=("src/**",))
    scene.plan = make_plan(build)
    scene.succeed(build)
    scene.write("my file(1).txt", "2")
    assert scene.lookup(build).reasons == ("inputs changed: my file(1).txt",)


def test_the_interpreter_of_a_script_counts(scene: Scene) -> None:
    """What the first line of a script in the codebase calls is a tool of the stage."""
    scene.write("check", "#!/usr/bin/env mytool").chmod(0o755)
    scene.tool("mytool", "exit 0")
    build = PlannedStage("build", "Build", "command", argv=("./check",), inputs=("src/**",))
    scene.plan = make_plan(build)
    scene.succeed(build)
    assert scene.lookup(build).reused is not None
    scene.tool("mytool", "exit 1")
    assert scene.lookup(build).reasons == ("tools changed: mytool",)


@pytest.mark.parametrize(
    "noted",
    [
        "packages/hello/.venv/lib/python3.11/site-packages/dep-1.0.dist-info/METADATA",
        "packages/hello/node_modules/.package-lock.json",
        "node_modules/.yarn-integrity",
        "home/.local/lib/python3.11/site-packages/dep-1.0.dist-info/METADATA",
    ],
)
def test_what_installers_note_counts(scene: Scene, tmp_path: Path, noted: str) -> None:
    """Another version in the codebase's own environment, in node_modules, or in the user's site is told."""
    scene.write(".venv/pyvenv.cfg", "home = /usr")
    scene.tool("python3", "exit 0")
    scene.env["HOME"] = str(tmp_path / "home")
    place = tmp_path / noted
    place.parent.mkdir(parents=True)
    place.write_text("1")
    build = BUILD._replace(shell="python3 -m build")
    scene.plan = make_plan(build)
    scene.succeed(build)
    assert scene.lookup(build).reused is not None
    if place.name == "METADATA":
        place.unlink()
        place.parent.rmdir()
        place.parent.with_name("dep-2.0.dist-info").mkdir()
    else:
        place.write_text("22")
    assert scene.lookup(build).reasons[0].startswith("tools changed: ")


def test_a_failure_meanwhile_has_the_last_word(scene: Scene) -> None:
    """A success that another run saw fail before it could be stored is not stored."""
    first = scene.cache()
    lookup = first.lookup(BUILD)
    scene.write("dist/app", "built")
    first.ended(BUILD, succeeded=True)
    second = scene.cache()
    second.lookup(BUILD)
    second.ended(BUILD, succeeded=False)
    first.store(ended(scene.plan, BUILD, lookup))
    assert "failed since" in scene.lookup().reasons[0]


def test_a_failure_on_unknown_files_counts_too(scene: Scene) -> None:
    """Whatever the inputs are, a failure ends what was stored."""
    scene.succeed()
    os.mkfifo(scene.folder / "src/pipe")
    cache = scene.cache()
    cache.lookup(BUILD)
    cache.ended(BUILD, succeeded=False)
    (scene.folder / "src/pipe").unlink()
    assert scene.lookup().reused is None


def test_a_cache_that_cannot_be_written_breaks_nothing(scene: Scene) -> None:
    """A file in the place of the cache's folder keeps no success, and a failure has none to end."""
    (Path(scene.workspace.runs_dir) / ".cache").write_text("")
    cache = scene.cache()
    cache.lookup(BUILD)
    cache.ended(BUILD, succeeded=False)
    assert scene.lookup().reused is None


def test_what_a_named_folder_holds_counts_though_git_ignores_it(scene: Scene) -> None:
    """``dist/*`` means what is there, also where git ignores it by that very pattern."""
    import subprocess

    subprocess.run(["git", "init", "-q"], cwd=scene.folder, check=True)
    scene.write(".gitignore", "dist/*")
    scene.write("dist/a", "1")
    scene.succeed(CHECK)
    scene.write("dist/a", "2")
    assert scene.lookup(CHECK).reasons == ("inputs changed: dist/a",)


@pytest.mark.parametrize("kind", ["fifo", "unreadable"])
def test_an_unknown_change_has_the_stage_run(scene: Scene, kind: str) -> None:
    """A pipe, or a folder that is no folder any more, neither hangs nor is spared."""
    scene.succeed()
    if kind == "fifo":
        os.mkfifo(scene.folder / "src/pipe")
    else:
        (scene.folder / "src").rename(scene.folder / "gone")
    assert "its inputs can't be observed" in scene.lookup().reasons[0]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"entry": 1}', '{"entry": 2}', "null", '{"entry": 1, "x": ' * 9]
)
def test_a_damaged_entry_counts_as_none(scene: Scene, text: str) -> None:
    """Whatever stands in the cache's file, the stage runs, and nothing else happens."""
    scene.succeed()
    (path,) = (Path(scene.workspace.runs_dir) / ".cache").glob("stage-*")
    path.write_text(text)
    assert scene.lookup().reused is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs", {"src/a.py": []}),
        ("salt", 7),
        ("salt", "x" * 65),
        ("salt", "\ud800"),
        ("shown_by", {"run_id": 5}),
        ("shown_by", 1),
        ("tools", []),
        ("not_stored", 3),
    ],
)
def test_an_entry_of_other_types_counts_as_none(scene: Scene, key: str, value: object) -> None:
    """An entry whose values have wrong types is as good as none, and ends nothing as a bug."""
    scene.succeed()
    (path,) = (Path(scene.workspace.runs_dir) / ".cache").glob("stage-*")
    document = json.loads(path.read_text())
    document[key] = {**document[key], **value} if isinstance(value, dict) and key == "shown_by" else value
    path.write_text(json.dumps(document))
    assert scene.lookup().reused is None


def test_an_entry_tells_no_secret(scene: Scene) -> None:
    """The file holds no variable's value, is its owner's alone, and two entries digest one value differently."""
    scene.env["DEPLOY_TOKEN"] = "hunter2hunter2"
    scene.succeed()
    (path,) = (Path(scene.workspace.runs_dir) / ".cache").glob("stage-*")
    assert b"hunter2" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    first = scene.entries.get("build")
    scene.entries.refuse("build", "for the test")
    scene.succeed()
    second = scene.entries.get("build")
    assert first is not None
    assert second is not None
    assert first != second
    assert scene.lookup().reused is not None


def test_with_no_cache_everything_runs_and_is_stored(scene: Scene) -> None:
    """A fresh lookup reuses nothing; what succeeds then may be cited by the next."""
    scene.succeed()
    assert scene.cache(fresh=True).lookup(BUILD).reasons == ("--no-cache was given",)
    newer = scene.succeed()
    found = scene.lookup().reused
    assert found is not None
    assert found.run_id == newer.run_id


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        (BUILD._replace(inputs=()), "declares no inputs"),
        (BUILD._replace(guardrail=True), "is a guardrail"),
        (
            PlannedStage("guard", "G", "command", argv=("codex-orchestrator", "spec-guard"), inputs=("a",)),
            "and the day",
        ),
        (PlannedStage("guard", "G", "command", argv=("codex-orchestrator", "spec-guard")), "and the day"),
        (PlannedStage("sub", "Sub", "subpipeline", pipeline="smoke", inputs=("a",)), "starts other runs"),
    ],
)
def test_some_stages_always_run(stage: PlannedStage, reason: str) -> None:
    """Without inputs, as a guardrail, and as a sub-pipeline a stage is never spared."""
    assert reason in str(may_reuse(make_plan(stage), stage))


def test_a_guardrail_is_cached_where_the_config_says_so() -> None:
    """``guardrails.reuse`` lets a guardrail with inputs be spared."""
    stage = BUILD._replace(guardrail=True)
    assert may_reuse(make_plan(stage)._replace(reuse_guardrails=True), stage) is None


def test_a_plan_says_what_would_run(scene: Scene) -> None:
    """A stage behind one that would run is unknown; all unchanged, none would run."""
    scene.succeed()
    scene.succeed(CHECK)
    told = explained(scene.plan, scene.cache())
    assert [entry["would"] for entry in told.values()] == ["reuse", "reuse"]
    (scene.folder / "dist/app").unlink()
    scene.plan = make_plan(BUILD, CHECK._replace(inputs=("src/**",)))
    scene.succeed(scene.plan.stage("check"))
    told = explained(scene.plan, scene.cache())
    assert [entry["would"] for entry in told.values()] == ["run", "unknown"]


def test_looking_writes_nothing_where_it_must_not(scene: Scene) -> None:
    """Without ``writes`` not even a refreshed status is put down."""
    scene.succeed()
    os.utime(scene.folder / "src/a.py")
    (path,) = (Path(scene.workspace.runs_dir) / ".cache").glob("stage-*")
    before = path.read_bytes()
    scene.entries = Entries(scene.workspace, (TASK, "hello", "diagnostics"), writes=False)
    assert scene.lookup().reused is not None
    assert path.read_bytes() == before


def test_all_cached_holds_until_something_runs(scene: Scene) -> None:
    """What was seen of all stages at once is not looked at again, but from the first start on it is."""
    scene.succeed()
    cache = scene.cache()
    assert cache.all_cached([BUILD])
    (scene.folder / "src/a.py").unlink()
    ahead: Reused | None = cache.lookup(BUILD).reused
    assert ahead is not None
    assert cache.lookup(BUILD).reused is None
