"""Defaults and limits that more than one package rests on; each stands here, and nowhere else."""

DEFAULT_PIPELINE = "diagnostics"


class _Unnamed(str):
    """The default pipeline of who named none: the project's own default stands in its place."""

    __slots__ = ()


UNNAMED_PIPELINE = _Unnamed(DEFAULT_PIPELINE)
"""What ``start`` and ``plan`` run when no pipeline is named (contract, section 2)."""

DEFAULT_SLA_SECONDS = 30 * 60.0
"""The limit of a pipeline that names none (contract, section 3)."""

DEFAULT_LOG_BYTES = 256 * 1024 * 1024
"""The limit of a stage's log that names none (contract, section 3)."""

DEEPEST_NESTING = 16
"""Runs may be nested this deep below their root (contract, exit code 5)."""

FORMS_ON_CLOSE = ("otlp", "junit")
"""The forms in which a run can be exported when it ends (contract, section 10)."""
