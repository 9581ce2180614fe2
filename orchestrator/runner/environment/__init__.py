"""The session's virtual environment and the environment variables of its stages.

The warm path is ``stage_environ``, ``tools_dir``, ``fingerprint.environment_key`` and ``needs_making``. When an
environment needs making, the caller takes its ``EnvironmentLock`` (``steps``), asks ``needs_making`` again, runs
the steps of ``steps.prepare`` as child processes and, when all of them ended with exit code 0, calls ``mark_made``.
"""

from orchestrator.runner.environment.allowed import stage_environ
from orchestrator.runner.environment.tools import TOOLS, KeptTools, tools_dir, tools_home
from orchestrator.runner.environment.venv import bin_paths, describe, environment_folder, mark_made, needs_making

__all__ = [
    "TOOLS",
    "KeptTools",
    "bin_paths",
    "describe",
    "environment_folder",
    "mark_made",
    "needs_making",
    "stage_environ",
    "tools_dir",
    "tools_home",
]
