"""Common forms of commands that can't fail: a guardrail that is one of them guards nothing (contract, section 3).

Help, not a promise: what is not one of these forms counts as able to fail. That a guard really fails is what a canary
proves (contract, section 7).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

_NEVER = frozenset(
    {"true", ":", "echo", "printf", "pwd", "date", "sleep", "whoami", "hostname", "uname", "yes"}
    | {"export", "readonly", "declare", "typeset", "local", "unset", "alias", "set", "trap"}
)
_FILTERS = frozenset(
    {"tee", "cat", "sort", "head", "tail", "less", "more", "tr", "cut", "wc", "uniq", "column", "nl", "fold", "ts"}
)
_SEARCHERS = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "select"}
)
_WRAPPERS = {
    **dict.fromkeys(("command", "builtin", "nohup", "setsid", "busybox"), ()),
    "env": ("-u", "--unset", "-C", "--chdir"),
    "exec": ("-a",),
    "nice": ("-n", "--adjustment"),
    "time": ("-f", "-o"),
    "timeout": ("-k", "-s", "--kill-after", "--signal"),
    "sudo": ("-u", "-g", "-h", "-C", "-p"),
    "stdbuf": ("-i", "-o", "-e"),
    **dict.fromkeys(
        ("uv run", "poetry run", "pipenv run", "pdm run"), ("--with", "-p", "--python", "--extra", "--group")
    ),
}
"""Commands that run another one, with their options that take the word after them."""

_HARMLESS = re.compile(
    r"--dry[-_]?run(?:=(?!false$|none$|no$|0$).*)?|--exit-zero|--soft-fail|--exit-code=0|--help|--version"
)
_DIFFERS = frozenset({"--exit-code", "--quiet", "-q", "--check"})
_MAKE_HARMLESS = frozenset({"-n", "-i", "--just-print", "--recon", "--ignore-errors"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.S)
_IDLE_CODE = re.compile(
    r"\s*(?:import sys\s*[;\n]\s*)?"
    r"(?:pass|(?:sys\.|process\.|os\._)?exit\(0?\)|print\([^()]*\)|console\.log\([^()]*\))?\s*;?\s*"
)
_REDIRECTION = re.compile(r"&?[<>][<>&|]?")
_QUOTED_OPERATOR = re.compile(r"\\[;&|<>()]|'[;&|<>()]+'|\"[;&|<>()]+\"")
_TRAP = re.compile(r"(?:^|[;\n&])\s*trap\s+(['\"])\s*exit\s+0\s*;?\s*\1\s+(?:EXIT|0)\b")
_PLAIN = re.compile(r"[^$`*?\[\]!(){}~-][^$`*?\[\]]*")
_SEPARATORS = frozenset({";", "&", "&&", "||", "|", "|&"})
_LEAVES = frozenset({"exit", "return", "exec"})
"""What ends a line before its last command does."""

_LONGEST = 16 * 1024
_MOST_LEVELS = 8
NOTHING = "it runs nothing"


def shell_reason(line: str) -> str | None:
    """Return why a shell line can't fail, or None when it can, or is none of the forms that are known."""
    if _TRAP.search(line):
        return "its trap on EXIT ends with success"
    return _line(line, 0)


def argv_reason(argv: list[str]) -> str | None:
    """Return why a command, started without a shell, can't fail, or None when it can."""
    # Without a shell '|| true' are mere arguments; whoever wrote them meant the command not to fail.
    for operator in ("||", ";"):
        if operator in argv:
            tail = argv[len(argv) - argv[::-1].index(operator) :]
            if tail and _command(tail, False, 0) is not None:
                return f"it ends in '{operator} {' '.join(tail)}'"
    return _command(argv, False, 0)


def _line(line: str, level: int, options: str = "") -> str | None:
    words = _words(line)
    if level > _MOST_LEVELS or words is None:
        return None
    if not words:
        return NOTHING
    lists = [[*part] for last, part in itertools.groupby(words, lambda word: word in (";", "&")) if not last]
    ends = [word for word in words if word in (";", "&")]
    early = [part for part in lists[:-1] if not _LEAVES.isdisjoint(part)]
    if lists and lists[0] in (["exit", "0"], ["exit"]):
        return "it ends at once, with success"
    # With errexit each command decides, and so does an early exit.
    if early or "e" in options or any(_sets_errexit(part) for part in lists[:-1]):
        return None
    if words[-1] == "&":
        return f"it is left in the background ('{' '.join(lists[-1])} {ends[-1]}')" if lists else None
    pipefail = "p" in options or "pipefail" in words
    return _and_or(lists[-1], level, pipefail=pipefail) if lists else None


def _sets_errexit(words: list[str]) -> bool:
    options = words[1:] if words[:1] == ["set"] else []
    return "errexit" in options or any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in options)


def _words(line: str) -> list[str] | None:
    """Return the words and operators of a plain line; None for compound commands and what can't be split."""
    if len(line) > _LONGEST or "<<" in line:
        return None
    import shlex

    plain = re.sub(r"(?m)(?:^|(?<=\s))#[^'\"\n]*$", "", re.sub(r"\\\n", " ", line))
    plain = _QUOTED_OPERATOR.sub("_", plain)
    plain = re.sub(r"((?:&&|\|\|?)\s*)\n", r"\1 ", plain.strip()).replace("\n", " ; ")
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    try:
        found = [*lexer]
    except ValueError:
        return None
    words: list[str] = []
    for word in found:
        if word == "{" and (not words or words[-1] == "||"):
            continue  # 'guard || { echo failed; }': the group ends as its last command does
        if word == "}" and words and words[-1] == ";":
            words.pop()
        elif word in ("{", "}", "!", ";;") or word in _KEYWORDS or re.fullmatch(r"[();&|<>]*[()][();&|<>]*", word):
            return None
        else:
            words.append(word)
    while words and words[-1] == ";":
        words.pop()
    return _without_redirections(words)


def _without_redirections(words: Iterable[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif _REDIRECTION.fullmatch(word) and word not in _SEPARATORS:
            skip = True
        else:
            kept.append(word)
    return kept


def _and_or(words: list[str], level: int, *, pipefail: bool) -> str | None:
    """Return why a list of ``&&`` and ``||`` can't fail; both bind from the left."""
    places = [place for place, word in enumerate(words) if word in ("&&", "||")]
    if not places:
        return _pipeline(words, level, pipefail=pipefail)
    if not _LEAVES.isdisjoint(words[: places[-1]]):
        return None
    last = _pipeline(words[places[-1] + 1 :], level, pipefail=pipefail)
    if words[places[-1]] == "||" and last is not None:
        return f"it ends in '|| {' '.join(words[places[-1] + 1 :])}'"
    before = _and_or(words[: places[-1]], level, pipefail=pipefail)
    return before if words[places[-1]] == "||" or last is not None else None


def _pipeline(words: list[str], level: int, *, pipefail: bool) -> str | None:
    pipes = [place for place, word in enumerate(words) if word in ("|", "|&")]
    if pipes and pipefail:
        return None
    return _command(words[pipes[-1] + 1 :] if pipes else words, bool(pipes), level)


def _command(words: list[str], piped: bool, level: int) -> str | None:
    rest = [*itertools.dropwhile(_ASSIGNMENT.fullmatch, words)]
    if not rest:
        return None if not words or any("$(" in word or "`" in word for word in words) else NOTHING
    name = rest[0].rsplit("/", 1)[-1]
    if name in _SHELLS:
        return _shell(rest, level)
    if name == "eval":
        return _line(" ".join(rest[1:]), level + 1)
    if name == "exit":
        return "it ends with success" if rest[1:] in (["0"], ["256"]) else None
    wrapper = f"{name} run" if rest[1:2] == ["run"] and f"{name} run" in _WRAPPERS else name
    if wrapper in _WRAPPERS and len(rest) > 1:
        inner = _after_options(rest[1 + (wrapper != name) :], _WRAPPERS[wrapper])
        looks_up = name == "command" and rest[1] in ("-v", "-V")
        inner = inner[1:] if name == "timeout" else inner
        return _command(inner, piped, level + 1) if inner and not looks_up and level < _MOST_LEVELS else None
    return _simple(name, rest[1:], piped)


def _simple(name: str, arguments: list[str], piped: bool) -> str | None:
    if name in _NEVER or (name in ("wait", "env") and not arguments):
        return f"its result is that of '{name}'"
    if piped and (name in _FILTERS or (name == "sed" and not re.search("[qQ]", " ".join(arguments)))):
        return f"its result is that of '{name}', at the end of a pipe"
    if name in ("test", "[") and _is_true(arguments if name == "test" else arguments[:-1]):
        return f"its result is that of '{name}' with nothing to find out"
    if (name, arguments) == ("cd", ["."]):
        return "its result is that of 'cd .'"
    if name == "git" and arguments[:1] in (["diff"], ["log"], ["status"]) and _DIFFERS.isdisjoint(arguments):
        return f"'git {arguments[0]}' shows differences and never fails for them"
    if name in _SEARCHERS or (name == "git" and arguments[:1] == ["grep"]):
        return None
    if re.fullmatch(r"python[0-9.]*|node", name) and len(arguments) == 2 and arguments[0] in ("-c", "-e"):
        idle = _IDLE_CODE.fullmatch(arguments[1])
        return f"its result is that of '{name} {arguments[0]}' with nothing in it" if idle else None
    if name == "make" and not _MAKE_HARMLESS.isdisjoint(arguments):
        return "its 'make' ignores errors or runs nothing"
    harmless = next((word for word in arguments if _HARMLESS.fullmatch(word)), None)
    if harmless is None and name != "git" and ("--exit-code", "0") in itertools.pairwise(arguments):
        harmless = "--exit-code 0"
    return None if harmless is None else f"'{harmless}' reports and never fails"


def _is_true(words: list[str]) -> bool:
    """Tell whether the words of a test hold whatever happens: one plain word, or two that are the same."""
    if not all(_PLAIN.fullmatch(word) for word in words):
        return False
    return len(words) == 1 or (len(words) == 3 and words[1] in ("=", "==", "-eq") and words[0] == words[2])


def _shell(words: list[str], level: int) -> str | None:
    options, rest = "", words[1:]
    while rest and rest[0][:1] == "-":
        option, rest = rest[0], rest[1:]
        options += "" if option.startswith("--") else re.sub("[^ec]", "", option)
        if option.endswith("o") and not option.startswith("--") and rest:
            options += {"pipefail": "p", "errexit": "e"}.get(rest[0], "")
            rest = rest[1:]
    if "c" in options and rest:
        return _line(rest[0], level + 1, options)
    return _simple(words[0], rest, False)


def _after_options(words: list[str], with_value: tuple[str, ...]) -> list[str]:
    rest = words
    while rest and rest[0].startswith("-"):
        if rest[0] == "--":
            return rest[1:]
        rest = rest[2:] if rest[0] in with_value else rest[1:]
    return rest
