"""The way to a scheduler: a real one is taken, and each reason why there is none is said for what it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import __version__
from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.cloud.connect import probe, require_engine, security_of
from orchestrator.cloud.protocol import fitting_label
from orchestrator.commands.context import Context
from orchestrator.commands.maintain.cloud import cloud
from orchestrator.config.cloud_policy import CloudPolicy
from tests.cloud.certificates import make_pki

Files = tuple[Path, Path, Path]


def _policy(port: int, files: Files | None, scheme: str = "tls") -> CloudPolicy:
    ca, cert, key = map(str, files) if files is not None else (None, None, None)
    return CloudPolicy(f"{scheme}://127.0.0.1:{port}", ca, cert, key, 2, 10.0, 3600.0, ())


def _reason(policy: CloudPolicy, seconds: float = 5.0) -> str | None:
    found = probe(policy, seconds)
    return None if found is None else found.reason


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_pki(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_pki(tmp_path_factory.mktemp("pki") / "theirs")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _scheduler(port: int, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", str(port))
    environ = {**os.environ, "CODEX_ORCHESTRATOR_SPOOL": str(folder / "spool")}
    log = (folder / "log").open("wb")
    with log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", *options], stdout=log, stderr=log, cwd=folder, env=environ
        )
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError((folder / "log").read_text())


@pytest.fixture(scope="module")
def scheduler(pki: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = _free_port()
    words = zip(("--tls-ca-file", "--tls-cert", "--tls-key"), pki, strict=True)
    options = [str(word) for pair in words for word in pair]
    process = _scheduler(
        port, tmp_path_factory.mktemp("tls"), "--protocol", "tls", "--preload", "orchestrator.cloud.hub", *options
    )
    yield port
    process.kill()
    process.wait()


def test_a_scheduler_of_our_authority_is_taken(scheduler: int, pki: Files) -> None:
    """The engine itself accepts the files, by the probe and by its own client with the settings made of them."""
    policy = _policy(scheduler, pki)
    assert _reason(policy) is None
    require_engine(policy)
    from distributed import Client

    with Client(policy.scheduler, security=security_of(policy), timeout=5) as client:  # type: ignore[no-untyped-call]
        assert client.scheduler_info()["workers"] == {}


def test_wrong_authority_and_refused_certificate_are_distinguished(scheduler: int, pki: Files, stranger: Files) -> None:
    """Their authority here is the one; our authority with a stranger's certificate is the other, also under TLS 1.3."""
    assert _reason(_policy(scheduler, stranger)) == "wrong-ca"
    mixed = (pki[0], stranger[1], stranger[2])
    assert _reason(_policy(scheduler, mixed)) == "certificate-refused"
    with pytest.raises(UsageError, match="refused our certificate") as refusal:
        require_engine(_policy(scheduler, mixed))
    assert refusal.value.code == "engine-unreachable"
    assert "authority" in refusal.value.hint


def test_plain_tcp_is_never_taken_for_the_engine(scheduler: int, pki: Files, tmp_path: Path) -> None:
    """A scheduler with TLS is none for tcp://, and one without is none for tls://; each takes its own."""
    assert _reason(_policy(scheduler, None, "tcp")) is not None
    port = _free_port()
    process = _scheduler(port, tmp_path)
    try:
        assert _reason(_policy(port, None, "tcp")) is None
        assert _reason(_policy(port, pki)) == "no-tls"
    finally:
        process.kill()
        process.wait()


def test_nobody_there_and_a_black_hole_are_distinguished(pki: Files) -> None:
    """A closed port is unreachable at once; one that accepts and says nothing is given up in time."""
    assert _reason(_policy(_free_port(), pki)) == "unreachable"
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(4)
        port = int(hole.getsockname()[1])
        began = time.monotonic()
        assert _reason(_policy(port, pki), 0.5) == "no-answer"
        assert _reason(_policy(port, None, "tcp"), 0.5) == "not-an-engine"
        assert time.monotonic() - began < 20


def test_files_that_are_no_certificates_are_named(pki: Files, stranger: Files, tmp_path: Path) -> None:
    """Text in place of a certificate, and another certificate's key, are faults of the configuration."""
    text = tmp_path / "text"
    text.write_text("no certificate")
    for files, named in (((text, pki[1], pki[2]), "cloud.ca"), ((pki[0], pki[1], stranger[2]), "cloud.key")):
        with pytest.raises(ConfigError, match=named):
            security_of(_policy(1, files))


def _checked(root: Path, policy: CloudPolicy) -> tuple[int, dict[str, Any], str]:
    files = "".join(
        f'{key} = "{path}"\n' for key, path in (("ca", policy.ca), ("cert", policy.cert), ("key", policy.key))
    )
    (root / "project_configs").mkdir(exist_ok=True)
    (root / "noxfile.py").touch()
    (root / "workspace.toml").write_text(f'schema_version = 1\n[cloud]\nscheduler = "{policy.scheduler}"\n{files}')
    context = Context(str(root), {"HOME": str(root)}, sys.stdout, sys.stderr)
    answer = cloud(context, words=("check",), format="json")
    assert answer.document is not None
    return answer.exit_code, dict(answer.document), answer.text


def test_check_reports_who_is_there(scheduler: int, pki: Files, tmp_path: Path) -> None:
    """A worker without the agent's label is listed with all that it says, and fits no run; one with it fits."""
    code, said, text = _checked(tmp_path, _policy(scheduler, pki))
    assert code == 4
    assert [problem["code"] for problem in said["problems"]] == ["no-worker"]
    assert (said["reachable"], said["certificate"], said["workers"]) == (True, "accepted", [])
    for label in ("other=1", f"{fitting_label()}=2"):
        words = zip(("--tls-ca-file", "--tls-cert", "--tls-key"), pki, strict=True)
        options = [str(word) for pair in words for word in pair]
        address = f"tls://127.0.0.1:{scheduler}"
        command = (sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "3")
        place = ("--no-dashboard", "--local-directory", str(tmp_path), "--name", "w1", "--resources", label)
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen([*command, *place, *options], stdout=log, stderr=log, cwd=tmp_path)
        try:
            until = time.monotonic() + 30
            while not said["workers"] and time.monotonic() < until and worker.poll() is None:
                time.sleep(0.2)
                code, said, text = _checked(tmp_path, _policy(scheduler, pki))
        finally:
            worker.kill()
            worker.wait()
        [found] = said["workers"]
        assert (found["name"], found["slots"], found["version"]) == ("w1", 3, __version__)
        assert found["free_bytes"] > 0
        assert abs(found["clock"]["offset_seconds"]) < 1
        is_fit = label != "other=1"
        assert (code, said["ok"], found["label"]) == (0 if is_fit else 4, is_fit, is_fit)
        assert ("No run can go there" in text) is not is_fit
        said["workers"] = []
        until = time.monotonic() + 10
        while time.monotonic() < until and _checked(tmp_path, _policy(scheduler, pki))[1]["workers"]:
            time.sleep(0.1)


def test_check_names_why_there_is_no_engine(scheduler: int, pki: Files, stranger: Files, tmp_path: Path) -> None:
    """Nobody there and another authority exit with 4 and the reason; another word than check is refused."""
    code, said, _ = _checked(tmp_path, _policy(scheduler, stranger))
    assert (code, said["certificate"], said["reachable"]) == (4, "wrong-ca", False)
    code, said, text = _checked(tmp_path, _policy(_free_port(), pki))
    assert (code, said["problems"][0]["code"]) == (4, "unreachable")
    assert "not reachable" in text
    with pytest.raises(UsageError, match="takes the word 'check'"):
        cloud(Context(str(tmp_path), {}, sys.stdout, sys.stderr), words=("chek",))


def test_a_missing_extra_is_refused_with_the_line_that_installs_it(
    pki: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library the refusal names the extra, and its hint can be pasted."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as refusal:
        _checked(tmp_path, _policy(1, pki))
    assert refusal.value.code == "no-extra"
    assert "[cloud]" in (refusal.value.hint or "")
