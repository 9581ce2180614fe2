"""What a stage sees of the user's environment: an allow-list, and a PATH without the orchestrator's own tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from orchestrator.model.plan import SessionPlan


def names(text: str) -> frozenset[str]:
    """Return the words of ``text`` as a set of variable names."""
    return frozenset(text.split())


ALLOWED = names(
    """
    PATH HOME USER LOGNAME SHELL LANG TZ TMPDIR TERM COLORTERM NO_COLOR FORCE_COLOR CI BASE_SHA SSH_AUTH_SOCK
    HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy ftp_proxy all_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO GIT_SSL_CAPATH
    PIP_CERT PIP_CLIENT_CERT PIP_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS
    PIP_TRUSTED_HOST PIP_KEYRING_PROVIDER PIP_CONFIG_FILE PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_TIMEOUT
    PIP_DEFAULT_TIMEOUT PIP_RETRIES
    UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_NO_INDEX UV_FIND_LINKS UV_INDEX_STRATEGY
    UV_INSECURE_HOST UV_NATIVE_TLS UV_SYSTEM_CERTS UV_KEYRING_PROVIDER UV_CONFIG_FILE UV_NO_CONFIG UV_OFFLINE
    UV_CACHE_DIR UV_NO_CACHE UV_LINK_MODE UV_HTTP_TIMEOUT UV_HTTP_RETRIES UV_PYTHON_INSTALL_DIR
    UV_PYTHON_INSTALL_MIRROR UV_PYPY_INSTALL_MIRROR UV_PYTHON_DOWNLOADS UV_PYTHON_DOWNLOADS_JSON_URL
    UV_PYTHON_CACHE_DIR XDG_CACHE_HOME
    """
)
ALLOWED_PREFIXES = ("LC_", "UV_INDEX_")
NPM_ALLOWED = frozenset(
    f"npm_config_{key}"
    for key in (
        *("registry", "userconfig", "globalconfig", "cache", "prefer_offline", "offline", "proxy", "https_proxy"),
        *("http_proxy", "noproxy", "ca", "cafile", "strict_ssl", "fetch_retries", "fetch_timeout"),
    )
)
NPM_ALLOWED_PREFIXES = ("npm_config_@", "npm_config_//")
UV_CACHE = ".uv-cache"
"""Where uv keeps its cache for a user who has no place for one: beside the environments."""
NEVER = frozenset({"MCP_RUNNER_TASK_ID", "VIRTUAL_ENV"})
NEVER_PREFIXES = ("NOX", "CODEX_ORCHESTRATOR_")

_GLOB = frozenset("*?[")


def stage_environ(
    environ: Mapping[str, str],
    session: SessionPlan,
    *,
    bin_paths: Sequence[str],
    tools_dir: str,
    own_bin: str | None = os.path.join(sys.prefix, "bin") if sys.prefix != sys.base_prefix else None,
) -> dict[str, str]:
    """Return the variables of a stage, from the user's ``environ`` and the ``session`` of its plan.

    In it: the built-in allow-list, what ``pass_env`` (names or globs) and ``secret_env`` name, and
    ``set_env``, which wins. PATH is ``bin_paths`` (the session's environment), ``tools_dir``, then the
    user's PATH without ``own_bin``, the orchestrator's own environment; a PATH in ``set_env`` stands for
    the user's. With ``bin_paths``, VIRTUAL_ENV names the session's environment, and uv works in it too, as in nox's
    own sessions; its cache lies beside the environments where the user has no place for one.
    Never in it, whatever the config says: ``NOX*``, MCP_RUNNER_TASK_ID, an
    inherited VIRTUAL_ENV and ``CODEX_ORCHESTRATOR_*``, which the caller adds.

    Source of the allow-list: contract, section 3, which names the single variables and four families.
    Proxies in both cases, as curl reads them; certificate bundles of OpenSSL, requests, curl, Node.js
    and git; index and cache settings from pip's "Configuration", uv's "Environment variables" and npm's
    "config" pages (npm's in any case, scoped registries and their credentials included).
    XDG_CACHE_HOME is where pip and uv cache when nothing else is said. BASE_SHA is what the built-in spec-guard
    compares with (contract of the early version; a required stage must see what CI says).
    """
    result = {name: value for name, value in environ.items() if _is_allowed(name)}
    result.update(_passed(environ, (*session.pass_env, *session.secret_env)))
    result.update(session.set_env)
    result = {name: value for name, value in result.items() if not _is_barred(name)}
    result["PATH"] = _path(result.get("PATH") or os.defpath, environ, bin_paths, tools_dir, own_bin)
    if bin_paths:
        result["VIRTUAL_ENV"] = os.path.dirname(bin_paths[0])
        if "uv" in session.backend.split("|"):
            result.setdefault("UV_PROJECT_ENVIRONMENT", result["VIRTUAL_ENV"])
            result.setdefault("UV_PYTHON", result["VIRTUAL_ENV"])
            if not _uv_can_cache(result):
                result["UV_CACHE_DIR"] = os.path.join(os.path.dirname(result["VIRTUAL_ENV"]), UV_CACHE)
    return result


def _uv_can_cache(environ: Mapping[str, str]) -> bool:
    """Tell whether uv finds a place for its cache by itself; without one it does nothing at all.

    Source: uv's "Caching" page. A user without a home folder, or with one that is not theirs (``HOME=/`` of a
    container), has none.
    """
    if any(environ.get(name) for name in ("UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME")):
        return True
    home = environ.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        return False
    place = os.path.join(home, ".cache", "uv")
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    return os.access(place, os.W_OK | os.X_OK)


def _is_allowed(name: str) -> bool:
    if name in ALLOWED or name.startswith(ALLOWED_PREFIXES):
        return True
    folded = name.lower()
    return folded in NPM_ALLOWED or folded.startswith(NPM_ALLOWED_PREFIXES)


def _is_barred(name: str) -> bool:
    return name in NEVER or name.startswith(NEVER_PREFIXES)


def _passed(environ: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    globs = [pattern for pattern in patterns if not _GLOB.isdisjoint(pattern)]
    found = {name: environ[name] for name in patterns if name in environ}
    if globs:
        from fnmatch import fnmatchcase

        found.update({name: value for name, value in environ.items() if any(fnmatchcase(name, glob) for glob in globs)})
    return found


def _path(
    user_path: str, environ: Mapping[str, str], bin_paths: Sequence[str], tools_dir: str, own_bin: str | None
) -> str:
    removed = [own_bin] if own_bin else []
    outer = environ.get("VIRTUAL_ENV")
    if outer and "CODEX_ORCHESTRATOR_RUN_ID" in environ:
        # Below a stage, the activated environment is that of the outer run's session, not the user's.
        removed.append(os.path.join(outer, "bin"))
    places = {place for place in map(_place, removed) if place is not None}
    # An empty entry means the current folder, which is the codebase under test: it must not lend its files as tools.
    rest = [entry for entry in user_path.split(os.pathsep) if entry and not (places and _place(entry) in places)]
    return os.pathsep.join(dict.fromkeys([*bin_paths, tools_dir, *rest]))


def _place(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
