"""What tests that start the real program need: a workspace to run in, and a clean way to call it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent

_KEPT = frozenset(
    {"PATH", "LANG", "TZ", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
)
_KEPT_PREFIXES = ("LC_", "PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "COVERAGE_")


QUICK_GUARD = "quick"


def can_sign() -> bool:
    """Tell whether ssh-keygen works here: it is there, and this user is one of the system's, or it does nothing."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return shutil.which("ssh-keygen") is not None


class Done(NamedTuple):
    """What a finished command left: ``document`` is its stdout read as JSON, or None when it is not JSON."""

    code: int
    stdout: str
    stderr: str
    document: Any


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Calls the program (by ``tests/quick_program.py``) as a process, in an environment that the machine can't colour.

    ``environ`` is the whole environment: a HOME of its own, no ``CODEX_*``, ``MCP_*``, ``NOX*`` or ``CI``.
    """

    cwd: Path
    environ: Mapping[str, str]

    def __call__(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> Done:
        """Run to the end and return what came out; ``env`` is added to the environment, ``timeout`` in seconds.

        Who reviews as somebody is somebody else's account too, as in two jobs of a CI system.
        """
        reviewer = _ci_job(args[args.index("--actor") + 1]) if args[:1] == ("review",) and "--actor" in args else {}
        finished = subprocess.run(
            self.command(*args),
            cwd=cwd or self.cwd,
            env={**self.environ, **reviewer, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        stdout = finished.stdout.decode("utf-8", "replace")
        return Done(finished.returncode, stdout, finished.stderr.decode("utf-8", "replace"), _json_or_none(stdout))

    def popen(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start and return the process, in a process group of its own."""
        return subprocess.Popen(
            self.command(*args),
            cwd=cwd or self.cwd,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    @staticmethod
    def command(*args: str) -> list[str]:
        """Return the argument list that calls the program with ``args``."""
        return [sys.executable, str(REPOSITORY / "tests/quick_program.py"), *args]


@dataclass(frozen=True, slots=True)
class WorkspaceFolder:
    """A workspace in a temporary folder: ``root/project_configs`` and ``root/packages``."""

    root: Path

    def write(self, relative: str, text: str) -> Path:
        """Write ``text`` to a file below the root, making its folders, and return its path."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def config(self, name: str, text: str) -> Path:
        """Write ``project_configs/<name>.toml`` as it is."""
        return self.write(f"project_configs/{name}.toml", text)

    def project(
        self,
        name: str,
        stages: Mapping[str, str | Mapping[str, object]] | None = None,
        *,
        pipeline: str = "diagnostics",
        task_id: str | None = None,
        path: str | None = None,
        extra: str = "",
        guard: str | None = QUICK_GUARD,
    ) -> Path:
        """Onboard a project with ``backend = "none"`` and return its folder, ``packages/<name>`` unless ``path``.

        A stage is a shell line, or its keys as the config has them. ``build``, ``lint`` and ``test`` pass
        unless given; ``guard`` is the line of ``spec-guard``, None for the built-in command, left out: that command,
        which passes without a look. ``extra`` is
        TOML that comes after the tables ``[project]`` and ``[session]``. ``task_id`` is ``1-<name>`` unless given.
        """
        table = {**self._builtin_stages(pipeline, guard), **(stages or {})}
        text = (
            "schema_version = 1\n"
            f"[project]\nname = {_toml(name)}\npath = {_toml(path or f'packages/{name}')}\n"
            f"task_id = {_toml(task_id or f'1-{name}')}\n"
            f'[session]\nbackend = "none"\n{extra}\n'
        )
        marker = self.root / "project_configs" / ".quick-guard"
        marker.parent.mkdir(parents=True, exist_ok=True)
        if guard == QUICK_GUARD:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        else:
            marker.unlink(missing_ok=True)
        self.config(name, text + "".join(_stage_toml(pipeline, key, value) for key, value in table.items()))
        folder = self.root / (path or f"packages/{name}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @staticmethod
    def _builtin_stages(pipeline: str, guard: str | None) -> dict[str, str | Mapping[str, object]]:
        names = {"diagnostics": ("build", "lint", "test"), "smoke": ("build", "test")}.get(pipeline, ())
        stages: dict[str, str | Mapping[str, object]] = dict.fromkeys(names, "true")
        if pipeline == "diagnostics" and guard is not None and guard != QUICK_GUARD:
            stages["spec-guard"] = guard
        return stages

    def commit(self, message: str = "all") -> str:
        """Commit everything but records, in a repository that is made when there is none; return the commit."""
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
            ignored = self.root / ".gitignore"
            if not ignored.exists():
                ignored.write_text("/.runs/\n/out/\n/.nox/\n")
        for folder in (self.root / "packages").glob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                (folder / "main.py").write_text("print(1)\n")  # git knows no empty folder
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *words: str) -> str:
        """Run git in the workspace, as nobody in particular, and return what it printed."""
        names = {
            f"GIT_{who}_{what}": "tester@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", **names}
        command = ["git", "-C", str(self.root), *words]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    def runs(self, task: str) -> list[Path]:
        """Return the folders of the task's runs, oldest first."""
        folder = self.root / ".runs" / task / "cli"
        if not folder.is_dir():
            return []
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))

    def manifest(self, run: Path) -> dict[str, Any]:
        """Return a run's manifest."""
        document: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        return document

    def metrics(self, task: str) -> list[dict[str, Any]]:
        """Return the lines of the task's ``metrics.json``, in order; none when there is no such file."""
        path = self.root / ".runs" / task / "metrics.json"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def state(self, task: str) -> dict[str, Any]:
        """Return the task's ``out/<task>/state.json``."""
        document: dict[str, Any] = json.loads((self.root / "out" / task / "state.json").read_text())
        return document

    def pointer(self, task: str, run_id: str) -> dict[str, Any]:
        """Return the compatibility pointer of a run."""
        path = self.root / ".runs" / task / "mcp" / run_id / "manifest.json"
        document: dict[str, Any] = json.loads(path.read_text())
        return document


def clean_environ(home: Path) -> dict[str, str]:
    """Return this process's environment cut down to what a user's shell needs, with ``home`` as HOME."""
    kept = {name: text for name, text in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    # A version manager's `python3` depends on variables that are cut here; the interpreter itself does not.
    kept["PATH"] = os.pathsep.join([os.path.join(sys.base_prefix, "bin"), os.environ["PATH"]])
    kept.update(HOME=str(home), USER="tester", LOGNAME="tester", TERM="dumb", **_ci_job("tester"))
    if not _installed():
        kept["PYTHONPATH"] = str(REPOSITORY)
    return kept


def _ci_job(actor: str) -> dict[str, str]:
    """Return what makes a process a job that ``actor`` started: accounts of two jobs differ by their actors alone."""
    return {"CIRCLECI": "true", "CIRCLE_USERNAME": actor}


def _installed() -> bool:
    try:
        importlib.metadata.version("codex-orchestrator")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _stage_toml(pipeline: str, stage_id: str, stage: str | Mapping[str, object]) -> str:
    keys: Mapping[str, object] = {"shell": stage} if isinstance(stage, str) else stage
    lines = [f"[[pipelines.{_toml(pipeline)}.stages]]", f"id = {_toml(stage_id)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
