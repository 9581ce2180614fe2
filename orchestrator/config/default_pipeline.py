"""Which pipeline of a project is meant when none is named: ``[project] default_pipeline``, else ``diagnostics``."""

from __future__ import annotations

import os
from contextlib import suppress

from orchestrator.base.identifiers import name_fault
from orchestrator.base.limits import DEFAULT_PIPELINE, UNNAMED_PIPELINE
from orchestrator.base.workspace import CONFIG_FOLDER

KEY = "default_pipeline"


def pipeline_of(root: str, project: str, asked: str) -> str:
    """Return the pipeline of ``project`` that is meant by the one that was asked for, or by ``UNNAMED_PIPELINE``.

    Raises as ``default_pipeline`` does.
    """
    return default_pipeline(root, project) if asked is UNNAMED_PIPELINE else asked


def default_pipeline(root: str, project: str) -> str:
    """Return the pipeline of ``project`` in the workspace at ``root`` that is run when none is named.

    A config that has no such key, as nearly all, is not parsed for it. What is wrong with the key, or with the config,
    is said by who loads it. Raises ConfigError for a file that is no TOML.
    """
    if name_fault("project", project) is not None:
        return DEFAULT_PIPELINE
    with suppress(OSError):
        path = os.path.join(root, CONFIG_FOLDER, f"{project}.toml")
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            text = file.read()
        # A key may be written with escapes, too.
        if KEY.encode() in text or b"\\u" in text.lower():
            from orchestrator.config.source import source_of

            table = source_of(root, project).table.get("project")
            named = table.get(KEY) if isinstance(table, dict) else None
            return named if isinstance(named, str) and name_fault("pipeline", named) is None else DEFAULT_PIPELINE
    return DEFAULT_PIPELINE
