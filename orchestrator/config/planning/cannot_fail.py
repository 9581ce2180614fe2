"""Commands that can't fail: a guardrail that is one of them guards nothing (contract, section 3)."""

from __future__ import annotations

import itertools
import re

from orchestrator.config.planning.shell_line import NOTHING, line_reason

_NEVER = frozenset(
    {"true", ":", "echo", "printf", "pwd", "date", "sleep", "whoami", "hostname", "uname", "yes"}
    | {"export", "readonly", "declare", "typeset", "local", "unset", "alias", "set", "trap"}
)
_FILTERS = frozenset(
    {"tee", "cat", "sort", "head", "tail", "less", "more", "tr", "cut", "wc", "uniq", "column", "nl", "fold", "ts"}
)
_SEARCHERS = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
_WRAPPERS = {
    "env": ("-u", "--unset", "-C", "--chdir"),
    "exec": ("-a",),
    "command": (),
    "builtin": (),
    "nohup": (),
    "setsid": (),
    "busybox": (),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n"),
    "time": ("-f", "-o", "--format", "--output"),
    "timeout": ("-k", "-s", "--kill-after", "--signal"),
    "gtimeout": ("-k", "-s", "--kill-after", "--signal"),
    "sudo": ("-u", "-g", "-h", "-C", "-p"),
    "stdbuf": ("-i", "-o", "-e"),
}
"""Commands that run another one, with their options that take the word after them."""

_RUNNERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye"})
_RUNNER_OPTIONS = ("--with", "-p", "--python", "--extra", "--group", "--only-group", "--project", "--directory")
_HARMLESS = re.compile(
    r"--dry[-_]?run(?:=(?!false$|none$|no$|0$).*)?|--exit-zero|--soft-fail|--exit-code=0|--help|--version"
)
_MAKE_HARMLESS = frozenset({"-n", "-i", "--just-print", "--recon", "--ignore-errors"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.S)
_IDLE_CODE = re.compile(
    r"\s*(?:import sys\s*[;\n]\s*)?"
    r"(?:pass|(?:sys\.|process\.|os\._)?exit\(0?\)|print\([^()]*\)|console\.log\([^()]*\))?\s*;?\s*"
)
_MOST_LEVELS = 16


def shell_reason(line: str) -> str | None:
    """Return why a shell line can't fail, or None when it can."""
    return _line_reason(line, 0)


def argv_reason(argv: list[str]) -> str | None:
    """Return why a command, started without a shell, can't fail, or None when it can."""
    # Without a shell '|| true' are mere arguments; whoever wrote them meant the command not to fail.
    for operator in ("||", ";"):
        if operator in argv:
            tail = argv[len(argv) - argv[::-1].index(operator) :]
            if tail and _command_reason(tail, False, 0) is not None:
                return f"it ends in '{operator} {' '.join(tail)}'"
    return _command_reason(argv, False, 0)


def _line_reason(line: str, level: int, *, errexit: bool = False, pipefail: bool = False) -> str | None:
    if level > _MOST_LEVELS:
        return None
    return line_reason(
        line, lambda words, piped: _command_reason(words, piped, level + 1), errexit=errexit, pipefail=pipefail
    )


def _command_reason(words: list[str], piped: bool, level: int) -> str | None:
    rest = words
    while rest and _ASSIGNMENT.fullmatch(rest[0]):
        rest = rest[1:]
    if not rest:
        return None if any("$(" in word or "`" in word for word in words) else NOTHING
    name = rest[0].rsplit("/", 1)[-1]
    if name in _SHELLS:
        return _shell_reason(rest, level)
    if name == "eval":
        return _line_reason(" ".join(rest[1:]), level)
    inner = _unwrapped(name, rest)
    if inner is not None:
        return _command_reason(inner, piped, level + 1) if inner and level <= _MOST_LEVELS else None
    return _simple_reason(name, rest, piped)


def _simple_reason(name: str, words: list[str], piped: bool) -> str | None:
    arguments = words[1:]
    if name in _NEVER or (name in ("wait", "env") and not arguments):
        return f"its result is that of '{name}'"
    if piped and (name in _FILTERS or (name == "sed" and not re.search("[qQ]", " ".join(arguments)))):
        return f"its result is that of '{name}', at the end of a pipe"
    if name in _SEARCHERS or (name == "git" and arguments[:1] == ["grep"]):
        return None
    if re.fullmatch(r"python[0-9.]*|node", name) and len(words) == 3 and words[1] in ("-c", "-e"):
        return (
            f"its result is that of '{name} {words[1]}' with nothing in it" if _IDLE_CODE.fullmatch(words[2]) else None
        )
    if name in ("make", "gmake") and not _MAKE_HARMLESS.isdisjoint(arguments):
        return "its 'make' ignores errors or runs nothing"
    return _option_reason(name, arguments)


def _option_reason(name: str, arguments: list[str]) -> str | None:
    harmless = next((word for word in arguments if _HARMLESS.fullmatch(word)), None)
    if harmless is not None:
        return f"'{harmless}' reports and never fails"
    if name != "git" and ("--exit-code", "0") in itertools.pairwise(arguments):
        return "'--exit-code 0' reports and never fails"
    return None


def _shell_reason(words: list[str], level: int) -> str | None:
    errexit = pipefail = reads_line = False
    rest = words[1:]
    while rest and rest[0][:1] in ("-", "+"):
        option, rest = rest[0], rest[1:]
        if option.startswith("--"):
            continue
        errexit = errexit or (option[0] == "-" and "e" in option)
        reads_line = reads_line or (option[0] == "-" and "c" in option)
        if option.endswith("o") and rest:
            pipefail, errexit = pipefail or rest[0] == "pipefail", errexit or rest[0] == "errexit"
            rest = rest[1:]
    if reads_line and rest:
        return _line_reason(rest[0], level, errexit=errexit, pipefail=pipefail)
    return _option_reason(words[0], rest)


def _unwrapped(name: str, words: list[str]) -> list[str] | None:
    """Return the command that ``words`` wrap, or None when they wrap none."""
    if name in _RUNNERS and words[1:2] == ["run"]:
        return _after_options(words[2:], _RUNNER_OPTIONS)
    if name not in _WRAPPERS or len(words) == 1:
        return None
    if name == "command" and words[1] in ("-v", "-V"):
        return []
    inner = _after_options(words[1:], _WRAPPERS[name])
    return inner[1:] if name.endswith("timeout") else inner


def _after_options(words: list[str], with_value: tuple[str, ...]) -> list[str]:
    rest = words
    while rest and rest[0].startswith("-"):
        if rest[0] == "--":
            return rest[1:]
        rest = rest[2:] if rest[0] in with_value else rest[1:]
    return rest
