"""Who works here: the account of this process, and the names that git's settings give its user."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.person_names import escaped
from orchestrator.git.process import GitProcess
from orchestrator.git.settings import config_files, user_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TIMEOUT_SECONDS = 10.0
_QUERY = ("config", "--null", "--get-regexp", r"^user\.(name|email)$")


_CI_ACTORS = (
    ("GITHUB_ACTIONS", "GITHUB_ACTOR"),
    ("GITLAB_CI", "GITLAB_USER_LOGIN"),
    ("BUILDKITE", "BUILDKITE_BUILD_CREATOR_EMAIL"),
    ("CIRCLECI", "CIRCLE_USERNAME"),
    ("TF_BUILD", "BUILD_REQUESTEDFOREMAIL"),
)
"""What says that a CI system runs this, and who started its job, by the systems' documentation."""


class AccountQuery:
    """The question who works here, on the way to git: ``begin`` it, then ask for its ``answer`` or ``end`` it."""

    def __init__(
        self, environ: Mapping[str, str], process: GitProcess | None, known: Mapping[str, str] | None = None
    ) -> None:
        self._environ = environ
        self._process = process
        self._known = known

    @classmethod
    def begin(cls, folder: str, environ: Mapping[str, str]) -> AccountQuery:
        """Ask git in ``folder``, without waiting for it, where its config files alone don't tell. Raises nothing."""
        place = folder if os.path.isdir(folder) else "/"
        if not any(name.startswith("GIT_CONFIG") for name in environ):
            known = user_settings(config_files(place, environ))
            if known is not None:
                return cls(environ, None, known)
        try:
            return cls(environ, GitProcess.start(place, _QUERY, environ, paths=None))
        except OSError:
            return cls(environ, None)

    def end(self) -> None:
        """End git and forget it; harmless when repeated."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def settings(self) -> dict[str, str]:
        """Return ``user.name`` and ``user.email`` as git has them; none where it can't tell."""
        if self._known is not None:
            return dict(self._known)
        if self._process is None:
            return {}
        try:
            output = self._process.answer(_TIMEOUT_SECONDS).output
        except OSError:  # TimeoutError is one
            return {}
        finally:
            self._process = None
        entries = (entry.partition("\n") for entry in output.decode("utf-8", "replace").split("\0"))
        return {key: value for key, _, value in entries if value}

    def answer(self) -> dict[str, Any]:
        """Return the account of this process as ``model.accounts.Account`` has it.

        What is not known is None; characters that a name must not have are escaped.
        """
        import pwd

        uid = os.getuid()
        try:
            login: str | None = pwd.getpwuid(uid).pw_name
        except KeyError:
            login = None
        found = self.settings()
        name = self._environ.get("GIT_AUTHOR_NAME") or found.get("user.name")
        email = self._environ.get("GIT_AUTHOR_EMAIL") or found.get("user.email")
        host, actor = os.uname().nodename, ci_actor(self._environ)
        texts = {"host": host, "login": login, "name": name, "email": email, "ci_actor": actor}
        return {"uid": uid, **{key: escaped(text) if text else None for key, text in texts.items()}}


def ci_actor(environ: Mapping[str, str]) -> str | None:
    """Return who started the CI job that this is, None outside of CI and where the system does not say."""
    for flag, actor in _CI_ACTORS:
        if environ.get(flag, "").lower() not in ("", "false", "0") and environ.get(actor):
            return environ[actor]
    return None


def git_names(folder: str, environ: Mapping[str, str]) -> list[str]:
    """Return ``user.name`` and ``user.email`` as git has them in ``folder``; none where it can't tell.

    A hook's ``GIT_DIR`` does not decide whose they are (``environment.git_environ``).
    """
    return list(AccountQuery.begin(folder, environ).settings().values())
