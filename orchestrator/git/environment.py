"""The one place for the environment in which git is started: for a look that trusts nothing, and as its user has it.

git looks at a repository and runs nothing of it (contract, section 7, "The tree"). Every variable whose name
begins with ``GIT_`` is removed, since a hook's or a caller's may point git at another repository, object store or
index, or change what a path is (``git rev-parse --local-env-vars``), but for ``KEPT``: where git's own programs
and the caller's settings are. Of the settings that a caller gives by ``GIT_CONFIG_COUNT`` those of ``PASSED``
stay: ``safe.directory`` lets a checkout of another owner be read (git-config(1), "safe.directory").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

KEPT = frozenset(
    (
        *("GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    )
)
PASSED = ("safe.directory", "user.name", "user.email")

FIXED: Mapping[str, str] = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    # A partial clone fetches what it lacks by programs that its config names (git-clone(1), --filter).
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

SETTINGS: tuple[tuple[str, str], ...] = (
    ("safe.bareRepository", "explicit"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.checkStat", "default"),
    ("core.trustctime", "true"),
    ("core.ignoreStat", "false"),
    ("core.symlinks", "true"),
    ("diff.ignoreSubmodules", "none"),
    ("diff.orderFile", "/dev/null"),
    ("log.showSignature", "false"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("submodule.recurse", "false"),
    ("color.ui", "false"),
    ("advice.graftFileDeprecated", "false"),
    # A file that a stage may write names the parents of commits there, and git takes its word (gitformat-commit-graph).
    ("core.commitGraph", "false"),
)
"""What beats the settings of the repository and of the user, as arguments ``-c``."""

OPTIONS = (
    "--no-optional-locks",
    "--no-pager",
    *(word for name, value in SETTINGS for word in ("-c", f"{name}={value}")),
)

_REDIRECTING = frozenset(
    (
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
        *("GIT_NAMESPACE", "GIT_PREFIX"),
    )
)
"""Variables of a hook that would point git at another repository."""

USER_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "safe.bareRepository=explicit")
"""What beats the settings of the repository where git works as its user has it: it runs no hook of it."""


def user_git_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a git that works as its user has it: the caller's, of which nothing redirects it."""
    env = {name: text for name, text in environ.items() if name not in _REDIRECTING}
    return {**env, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def git_environ(environ: Mapping[str, str], settings: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the environment of a git that is started, made of the caller's.

    ``settings`` are names and values that hold besides those of ``OPTIONS``; a name may hold any character.
    """
    env = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in KEPT}
    env.update(FIXED)
    pairs = [*_passed(environ), *settings]
    if pairs:
        env["GIT_CONFIG_COUNT"] = str(len(pairs))
    for number, (name, value) in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{number}"] = name
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def _passed(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    count = environ.get("GIT_CONFIG_COUNT", "")
    for number in range(min(int(count), 1000) if count.isascii() and count.isdigit() else 0):
        name = environ.get(f"GIT_CONFIG_KEY_{number}", "")
        if name.lower() in PASSED:
            yield name, environ.get(f"GIT_CONFIG_VALUE_{number}", "")
