"""``[cloud]`` of ``workspace.toml``: what is read, and what is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.config.cloud_policy import is_loopback, place_of, read_cloud_policy, refuse_if_project_forbids
from tests.records import make_plan

_TLS = 'scheduler = "tls://h:8786"\nca = "pki/ca"\ncert = "pki/cert"\nkey = "pki/key"\n'


def _workspace(tmp_path: Path, table: str) -> str:
    (tmp_path / "pki").mkdir(exist_ok=True)
    for name in ("ca", "cert", "key"):
        (tmp_path / "pki" / name).write_text("x")
        (tmp_path / "pki" / name).chmod(0o600)
    (tmp_path / "workspace.toml").write_text(f"schema_version = 1\n[cloud]\n{table}")
    return str(tmp_path)


def _refusal(root: str, environ: dict[str, str] | None = None) -> UsageError:
    with pytest.raises(UsageError) as refusal:
        read_cloud_policy(root, environ or {})
    return refusal.value


def test_the_table_is_read_with_its_defaults(tmp_path: Path) -> None:
    """Paths lead from the workspace, durations are seconds, and what is left out has the documented value."""
    policy = read_cloud_policy(_workspace(tmp_path, _TLS), {})
    assert policy.place == ("h", 8786)
    assert policy.is_encrypted
    assert policy.key == str(tmp_path / "pki" / "key")
    assert (policy.retries, policy.lease, policy.queue_timeout, policy.include) == (2, 10.0, 3600.0, ())
    table = _TLS + 'retries = 0\nlease = "3s"\nqueue_timeout = "1m"\ninclude = ["generated/**"]\n'
    policy = read_cloud_policy(_workspace(tmp_path, table), {})
    assert (policy.retries, policy.lease, policy.queue_timeout, policy.include) == (0, 3.0, 60.0, ("generated/**",))


def test_the_variable_names_another_scheduler(tmp_path: Path) -> None:
    """The variable wins, is held to the same rules, and replaces no table."""
    root = _workspace(tmp_path, _TLS)
    variable = "CODEX_ORCHESTRATOR_CLOUD_SCHEDULER"
    assert read_cloud_policy(root, {variable: "tls://other:1"}).scheduler == "tls://other:1"
    assert _refusal(root, {variable: "tcp://other:1"}).code == "bad-scheduler"
    assert variable in _refusal(root, {variable: "other"}).message
    (tmp_path / "workspace.toml").unlink()
    assert _refusal(root, {variable: "tls://other:1"}).code == "no-engine"


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ("", "bad-scheduler", "is missing"),
        ('scheduler = "h:8786"', "bad-scheduler", "tls://"),
        ('scheduler = "tls://h"', "bad-scheduler", "tls://"),
        ('scheduler = "tls://h:0"', "bad-scheduler", "port"),
        ('scheduler = "tls://h:99999"', "bad-scheduler", "port"),
        ('scheduler = "tls://::1:8786"', "bad-scheduler", "brackets"),
        ('scheduler = "tls://a b:1"', "bad-scheduler", "host"),
        ('scheduler = "tcp://h:8786"\ninsecure = true', "bad-scheduler", "another machine"),
        ('scheduler = "tcp://127.0.0.1.example:8786"\ninsecure = true', "bad-scheduler", "another machine"),
        ('scheduler = "tcp://127.0.0.1:8786"', "bad-scheduler", "without TLS"),
        ('scheduler = "tls://h:1"\nca = "x"', "config", "cloud.cert: is missing"),
        (_TLS.replace("pki/key", "pki/none"), "key-unreadable", "No such file"),
        (_TLS.replace("pki/key", "pki"), "key-unreadable", "no regular file"),
        (_TLS + "retires = 2", "config", "cloud.retires: is no key"),
        (_TLS + "retries = -1", "config", "from 0 to 100"),
        (_TLS + "retries = true", "config", "from 0 to 100"),
        (_TLS + "lease = 10", "config", "with its unit"),
        (_TLS + 'lease = "soon"', "config", "must be a duration"),
        (_TLS + 'lease = "100ms"', "config", "at least 1s"),
        (_TLS + 'queue_timeout = "0s"', "config", "longer than nothing"),
        (_TLS + 'include = "x"', "config", "no list"),
        (_TLS + 'include = ["../x"]', "config", "leads out"),
        (_TLS + 'include = ["["]', "config", "cloud.include"),
        (_TLS + 'insecure = "yes"', "config", "neither true nor false"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key(tmp_path: Path, table: str, code: str, said: str) -> None:
    """Each kind of bad value is named with its code, and nothing is taken for a default."""
    refusal = _refusal(_workspace(tmp_path, table))
    assert refusal.code == code
    assert said in refusal.message
    assert refusal.exit_code == 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Any bit for the group or for others is one too many, and the hint is the command that takes it away."""
    root = _workspace(tmp_path, _TLS)
    (tmp_path / "pki" / "key").chmod(mode)
    refusal = _refusal(root)
    assert refusal.code == "key-readable"
    assert refusal.hint.startswith("chmod 600 ")


def test_this_machine_may_be_tried_without_tls(tmp_path: Path) -> None:
    """tcp:// to a loopback address needs insecure = true and no files."""
    for host in ("127.0.0.1", "127.8.9.1", "localhost", "[::1]"):
        policy = read_cloud_policy(_workspace(tmp_path, f'scheduler = "tcp://{host}:8786"\ninsecure = true'), {})
        assert not policy.is_encrypted
        assert policy.key is None


def test_addresses_and_loopback_are_distinguished() -> None:
    """What only looks like this machine is another one."""
    assert place_of("tls://[fe80::1%eth0]:1") == ("fe80::1%eth0", 1)
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1", "127.0.0.999", "128.0.0.1", "localhost.example")] == [
        True,
        False,
        False,
        False,
        False,
    ]


def _project(root: Path, name: str, session: str = "") -> None:
    (root / "project_configs").mkdir(exist_ok=True)
    text = f'schema_version = 1\n[project]\nname = "{name}"\npath = "{name}"\ntask_id = "1-{name}"\n'
    (root / "project_configs" / f"{name}.toml").write_text(f'{text}[session]\nbackend = "none"\n{session}\n')


def test_a_project_may_keep_its_runs_here(tmp_path: Path) -> None:
    """``cloud = false`` of the project, or of one that its plan reaches, refuses mode cloud; a fleet has none."""
    plan = make_plan()._replace(project="x", pipeline="deploy", subplans=(make_plan()._replace(project="y"),))
    _project(tmp_path, "x")
    _project(tmp_path, "y", "cloud = true")
    refuse_if_project_forbids(str(tmp_path), plan)
    _project(tmp_path, "y", "cloud = false")
    with pytest.raises(UsageError) as refused:
        refuse_if_project_forbids(str(tmp_path), plan)
    assert (refused.value.code, refused.value.exit_code) == ("cloud-refused", 2)
    assert "project_configs/y.toml" in refused.value.message
    assert "'deploy'" in refused.value.message
    _project(tmp_path, "x", "cloud = false")
    with pytest.raises(UsageError, match=r"project_configs/x\.toml"):
        refuse_if_project_forbids(str(tmp_path), plan)
    refuse_if_project_forbids(str(tmp_path), plan._replace(project="fleet", selection={}))
