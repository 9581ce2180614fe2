"""The checks are checked: each deliberate mistake in the seam or in the store is caught by one of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.claim import claim
from orchestrator.store.find import run_ids
from orchestrator.store.layout import CLI, MANIFEST, METRICS, OPEN, RESERVE, Location
from orchestrator.store.open_run import OpenRun
from orchestrator.store.publish import publish
from orchestrator.store.recovery import Closer, last_sign_of_life, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import take_over
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, QuickSeam, ShortSeam, TornSeam, crash_at
from tests.faults.lives import Told, Verbs, check, plain_life, recover
from tests.faults.power_checks import cut_everywhere, kill_then_cut, lint
from tests.faults.power_seam import PowerSeam
from tests.records import TASK

# --- mistakes of the seam: what a forgotten or a wrong call to the system would do -----------------


class NoFileSync(PowerSeam):
    """Syncs folders only."""

    def fsync(self, fd: int) -> None:
        if isinstance(self._known(fd), type(self._root)):
            super().fsync(fd)


class NoFolderSync(PowerSeam):
    """Syncs files only."""

    def fsync(self, fd: int) -> None:
        if not isinstance(self._known(fd), type(self._root)):
            super().fsync(fd)


class NoSyncAfterAppend(PowerSeam):
    """Forgets the fsync of what was opened to append: the metrics."""

    def fsync(self, fd: int) -> None:
        import fcntl

        if not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            super().fsync(fd)


class ReplaceBeforeSync(PowerSeam):
    """Replaces first and syncs the file afterwards."""

    late: int | None = None

    def fsync(self, fd: int) -> None:
        if isinstance(self._known(fd), type(self._root)):
            if self.late is not None:
                late, self.late = self.late, None
                super().fsync(late)
                os.close(late)
            super().fsync(fd)
        else:
            self.late = os.dup(fd)


class RemovesThenRenames(PowerSeam):
    """Makes room for the new file before it puts it there."""

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        with suppress(FileNotFoundError, IsADirectoryError):
            self.unlink(target, target_folder)
        super().replace(source, target, folder, target_folder)


class WritesInPlace(QuickSeam):
    """Writes over the old file instead of replacing it."""

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        if folder != target_folder:
            return super().replace(source, target, folder, target_folder)
        fd = os.open(source, os.O_RDONLY, dir_fd=folder)
        data = os.read(fd, 1 << 20)
        os.close(fd)
        fd = self.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, target_folder)
        try:
            self.write(fd, data)
        finally:
            os.close(fd)
        return self.unlink(source, folder)


class TrustsCounts(ShortSeam):
    """Takes a short write for a whole one."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        super().write(fd, data)
        return len(data)


class NoTailCheck(TornSeam):
    """Leaves a torn tail where it is."""

    def truncate(self, fd: int, size: int) -> None:
        if size == 0 and b"pid" in os.pread(fd, 100, 0):
            super().truncate(fd, size)


class NeverRemoves(QuickSeam):
    """Removes nothing."""

    def unlink(self, name: str, folder: int) -> None:
        """Forget it."""

    def rmdir(self, name: str, folder: int) -> None:
        """Forget it."""


class NoOlderPointer(QuickSeam):
    """Makes no links."""

    def symlink(self, target: str, name: str, folder: int) -> None:
        """Forget it."""


class NoLock(QuickSeam):
    """Locks nothing."""

    def flock(self, fd: int, operation: int) -> None:
        """Forget it."""


# --- mistakes of the store: its steps in another order, or one left out ----------------------------


def claim_then_tell_early(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
    """Show the folder before the record is in it."""
    where = Location(manifest.task_id, manifest.run_id)
    with store.task(where.task_id, create=True) as task, task.sub(CLI, create=True) as cli:
        cli.sub(where.run_id, create=True).close()
        cli.remove_folder(where.run_id)
    return claim(store, manifest, token)


def claim_without_marker(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
    """Forget to list the run as open."""
    run = claim(store, manifest, token)
    with store.task(manifest.task_id) as task, task.sub(OPEN) as opened:
        opened.remove(manifest.run_id)
    return run


def save_unsynced(run: OpenRun, manifest: Manifest) -> Manifest:
    """Write the record without any fsync."""
    manifest = manifest._replace(revision=run.manifest.revision + 1)
    run.folder.write(MANIFEST, render(manifest.as_json()), sync=False, sync_folder=False)
    run.manifest = manifest
    return manifest


def publish_unmarked_first(store: RunStore, run: OpenRun, *, certain: bool) -> None:
    """Take the run off the list before its end is published."""
    with store.task(run.where.task_id) as task, task.sub(OPEN) as opened:
        opened.remove(run.where.run_id)
    publish(store, run, certain=certain)


def publish_twice(store: RunStore, run: OpenRun, *, certain: bool) -> None:
    """Never look for what is there."""
    publish(store, run, certain=True)
    publish(store, run, certain=True)


def publish_half(store: RunStore, run: OpenRun, *, certain: bool) -> None:
    """Say that it is done after the record alone."""
    run.save(run.manifest._replace(metrics_recorded=True))
    run.folder.remove(RESERVE)
    with store.task(run.where.task_id) as task, task.sub(OPEN) as opened:
        opened.remove(run.where.run_id)


def save_published_first(run: OpenRun, manifest: Manifest) -> Manifest:
    """Write the metrics line before the end that it tells of."""
    if manifest.is_terminal:
        with Folder.at(os.path.dirname(os.path.dirname(run.folder.path)), run.folder.seam) as task:
            import json

            from orchestrator.store.metrics_line import metrics_line

            task.append_line(METRICS, json.dumps(metrics_line(manifest, manifest.updated_at)).encode(), sync=True)
    return run.save(manifest)


def recover_certain(store: RunStore, task_id: str, close: Closer) -> list[str]:
    """Publish what died without looking for its line."""
    done = []
    for run_id in run_ids(store, task_id):
        run = take_over(store, Location(task_id, run_id))
        try:
            if not run.manifest.metrics_recorded:
                if not run.manifest.is_terminal:
                    run.save(close(run.manifest, last_sign_of_life(run)))
                publish(store, run, certain=True)
                done.append(run_id)
        finally:
            run.close()
    return done


def recover_nothing(store: RunStore, task_id: str, close: Closer) -> list[str]:
    """Leave the dead as they are."""
    return []


def close_as_success(manifest: Manifest, at: str) -> Manifest:
    """Close a record without closing its stages."""
    return interrupted(manifest, at)._replace(commands=manifest.commands)


# --- the checks ------------------------------------------------------------------------------------


def crash_everywhere(
    scenes: Scenes, make: Callable[[], QuickSeam] = QuickSeam, verbs: Verbs | None = None, torn: bool = False
) -> None:
    """Do what the crash enumeration does, with one mistake in it."""
    wrong = verbs or Verbs()
    for point in range(1, 130):
        scene, told = scenes.new(), Told()
        seam = make()
        if not torn:
            seam.before = crash_at(point)
        elif isinstance(seam, TornSeam):
            seam.target = point
        with suppress(Crash):
            plain_life(scene, seam, told, verbs=wrong)
        check(scene, told, recovered=False)
        for _ in range(2):
            healing = make()
            if isinstance(healing, TornSeam):
                healing.target = -1
            recover(scene, healing, wrong)
        check(scene, told, recovered=True)


def live_run_is_left_alone(scenes: Scenes) -> None:
    """Recover a task while one of its runs is alive."""
    scene = scenes.new()

    def watch(told: Told) -> None:
        if not told.saved:
            recover(scene, NoLock())
            folder = scene / ".runs" / TASK / CLI / told.claimed[0]
            assert '"status": "in_progress"' in (folder / MANIFEST).read_text(), "a live run was closed"

    plain_life(scene, NoLock(), Told(), watch=watch)


def verbs_in_power_cuts(scenes: Scenes, verbs: Verbs) -> None:
    """Run the lint and the cuts with wrong verbs."""
    lint(scenes, plain_life, verbs=verbs)
    cut_everywhere(scenes, plain_life, verbs=verbs)


SEEDED: dict[str, Callable[[Scenes], object]] = {
    "no fsync of files": lambda scenes: lint(scenes, plain_life, NoFileSync),
    "no fsync of folders": lambda scenes: lint(scenes, plain_life, NoFolderSync),
    "no fsync of the metrics": lambda scenes: lint(scenes, plain_life, NoSyncAfterAppend),
    "replace before fsync": lambda scenes: cut_everywhere(scenes, plain_life, ReplaceBeforeSync),
    "remove before rename": lambda scenes: cut_everywhere(scenes, plain_life, RemovesThenRenames),
    "kill, then no fsync of files": lambda scenes: kill_then_cut(scenes, plain_life, NoFileSync),
    "written in place": lambda scenes: crash_everywhere(scenes, WritesInPlace),
    "short writes taken for whole": lambda scenes: crash_everywhere(scenes, lambda: TrustsCounts(100)),
    "no tail check": lambda scenes: crash_everywhere(scenes, lambda: NoTailCheck(-1), torn=True),
    "the list of open runs never shrinks": lambda scenes: crash_everywhere(scenes, NeverRemoves),
    "no older pointer": lambda scenes: crash_everywhere(scenes, NoOlderPointer),
    "lock not taken": live_run_is_left_alone,
    "run shown before its record": lambda scenes: crash_everywhere(scenes, verbs=Verbs(claim=claim_then_tell_early)),
    "run not listed as open": lambda scenes: crash_everywhere(scenes, verbs=Verbs(claim=claim_without_marker)),
    "record not synced": lambda scenes: verbs_in_power_cuts(scenes, Verbs(save=save_unsynced)),
    "unlisted before published": lambda scenes: crash_everywhere(scenes, verbs=Verbs(publish=publish_unmarked_first)),
    "published twice": lambda scenes: crash_everywhere(scenes, verbs=Verbs(publish=publish_twice)),
    "published in word only": lambda scenes: crash_everywhere(scenes, verbs=Verbs(publish=publish_half)),
    "published before recorded": lambda scenes: crash_everywhere(scenes, verbs=Verbs(save=save_published_first)),
    "recovery without event check": lambda scenes: crash_everywhere(scenes, verbs=Verbs(recover=recover_certain)),
    "no recovery": lambda scenes: crash_everywhere(scenes, verbs=Verbs(recover=recover_nothing)),
}


@pytest.mark.parametrize("mistake", SEEDED)
def test_a_mistake_is_caught(scenes: Scenes, mistake: str) -> None:
    """With this one mistake, a check fails; without any, the same checks pass."""
    with pytest.raises(AssertionError):
        SEEDED[mistake](scenes)


def test_the_model_refuses_a_close_that_leaves_stages_open(scenes: Scenes) -> None:
    """A record that contradicts itself is not written at all."""
    with pytest.raises((ValueError, StorageError)):
        crash_everywhere(scenes, verbs=Verbs(close=close_as_success))


def test_without_a_mistake_the_checks_pass(scenes: Scenes) -> None:
    """The same driver, with nothing wrong, finds nothing."""
    crash_everywhere(scenes)
    crash_everywhere(scenes, lambda: TornSeam(-1), torn=True)
    assert recover_task.__module__ == "orchestrator.store.recovery"


def test_the_listed_mistakes_are_enough() -> None:
    """There are at least ten of them."""
    assert len(SEEDED) >= 10
    assert all(Path(__file__).read_text().count(f'"{name}"') == 1 for name in SEEDED)
