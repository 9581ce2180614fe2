"""What tools and builds leave behind in a codebase: no part of its tree, and no code, unless git tracks it."""

from __future__ import annotations

import os

CACHES = frozenset(
    os.fsencode(name)
    for name in (
        *(".git", ".hg", ".svn", ".runs", ".nox", ".tox", ".venv", "venv", "node_modules", "__pycache__", ".eggs"),
        *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".cache", ".coverage", ".nyc_output"),
        *(".gradle", ".next", ".nuxt", ".turbo", ".parcel-cache", ".terraform", ".DS_Store"),
    )
)
"""Names that tools leave anywhere in a tree."""

PRODUCTS = frozenset((b"build", b"dist", b"out", b"target", b"htmlcov", b"coverage", b"coverage.xml", b"junit.xml"))
"""Names that builds leave at the top of a tree; deeper down they are ordinary packages (``src/build``)."""


def is_build_artifact(path: bytes) -> bool:
    """Tell whether a path, relative to the codebase's folder, has the name of a cache or of a build's product."""
    parts = path.split(b"/")
    if parts[0] in PRODUCTS or not CACHES.isdisjoint(parts):
        return True
    return any(part.endswith((b".egg-info", b".pyc")) for part in parts)
