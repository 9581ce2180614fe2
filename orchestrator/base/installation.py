"""Where this program was installed from, and so what installs it, or an extra of it, once more.

Package indexes hold another product under the same name, so that the bare name is never what to install.
"""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

NAME = "codex-orchestrator"

CI_VARIABLE = "CODEX_ORCHESTRATOR_PACKAGE"
"""The variable of a CI system that names what its jobs install."""


def recorded_source() -> str | None:
    """Return the text of ``direct_url.json`` that the installer left (PEP 610); None where there is none."""
    import importlib.metadata

    try:
        return importlib.metadata.distribution(NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None


def portable_requirement(source: str | None, extra: str = "") -> str | None:
    """Return what pip installs on any machine: ``codex-orchestrator @ git+https://…@COMMIT``; None if not known.

    ``source`` is the text of PEP 610's ``direct_url.json``. A folder of this machine, and a copy that came by name
    from some index, are known nowhere else.
    """
    data = _read(source)
    url = str(data.get("url", ""))
    if not url or urlsplit(url).scheme in ("", "file"):
        return None
    vcs = data.get("vcs_info")
    if isinstance(vcs, dict):
        url = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}"
    if data.get("subdirectory"):
        url += f"#subdirectory={data['subdirectory']}"
    return f"{NAME}{_in_brackets(extra)} @ {url}"


def extra_hint(extra: str, source: str | None) -> str:
    """Return the command that adds ``extra`` to this installation: ``python -m pip install '/src[otel]'``."""
    data = _read(source)
    parts = urlsplit(str(data.get("url", "")))
    folder = isinstance(data.get("dir_info"), dict) and parts.scheme == "file"
    wanted = f"{unquote(parts.path)}{_in_brackets(extra)}" if folder else portable_requirement(source, extra)
    if wanted is None:
        return f"install it anew with its extra '{extra}', from where it came: python -m pip install 'FOLDER[{extra}]'"
    info = data.get("dir_info")
    editable = isinstance(info, dict) and info.get("editable") is True
    return f"python -m pip install {'-e ' if editable else ''}'{wanted}'"


def _in_brackets(extra: str) -> str:
    return f"[{extra}]" if extra else ""


def _read(source: str | None) -> dict[str, object]:
    try:
        data = json.loads(source or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
