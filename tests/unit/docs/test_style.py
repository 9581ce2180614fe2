"""Documents, help and code use the words of docs/glossary.md, and documents keep to readable lines."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.help_text import WIDEST, command_help, program_help
from tests.harness import REPOSITORY
from tests.sources import statements

LONGEST_LINE = 160
LONGEST_MODULE = 350
LONGEST_FUNCTION = 80
MODULES = sorted((REPOSITORY / "orchestrator").rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))
TEMPLATES = sorted(path for path in (REPOSITORY / "orchestrator/onboarding/templates").rglob("*") if path.is_file())
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), *TEMPLATES])

PROSE = re.compile(
    r"\b(?:spared?|sparing|unborn|sisters?|heal(?:s|ed|ing)?|mend(?:s|ed|ing)?|flaws?|surroundings|stand-ins?"
    r"|leftovers?|made up for|who died|of now|of today|held back|told|doors?|houses?)\b",
    re.IGNORECASE,
)
"""Words and phrases that a reader would have to learn; each has its replacement in the glossary."""

NAMES = re.compile(
    r"(?:^|_)(?:spared?|sparing|unborn|sisters?|heal(?:s|ed|ing)?|mend(?:s|ed|ing)?|flaws?|surroundings|told|doors?"
    r"|houses?|leftovers?)(?=_|$)"
)
"""The same as parts of names, in lower case with underscores."""

STEMS = (
    *("spar", "unborn", "sister", "heal", "mend", "flaw", "surround", "stand-in", "leftover", "made up for"),
    *("who died", "of now", "of today", "held back", "told", "door", "house"),
)
"""What a module must hold somewhere, in any case, before it is worth parsing."""

PUBLISHED = re.compile(r"\bleftover-(?:staging|temp|reserve)\b|^heals$|^events:healed$")
"""Codes, a key of ``doctor --format json`` and an event that are out in the world, and stay."""

OUTERMOST = re.compile(r"^(?:def|async def|class) ", re.MULTILINE)
"""Where a function or class begins that stands in no other: a long function lies between two of these."""


def _prose(document: Path) -> Iterator[tuple[int, str]]:
    """Return the numbered lines of a document that are prose or table: no fenced block, no list of words to avoid."""
    fenced = False
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## Style") and document.name == "glossary.md":
            return
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield number, line


def _avoided(text: str) -> list[str]:
    return [match[0] for match in PROSE.finditer(PUBLISHED.sub("", text))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_documents_use_the_words_of_the_glossary(document: Path) -> None:
    """No line of a document, examples apart, has a word that the glossary replaces."""
    assert [(number, found) for number, line in _prose(document) if (found := _avoided(line))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_lines_of_documents_can_be_read(document: Path) -> None:
    """No line of a document is longer than 160 characters."""
    lines = document.read_text(encoding="utf-8").splitlines()
    assert [(number, len(line)) for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE] == []


def test_help_uses_the_words_of_the_glossary() -> None:
    """Neither the program's help nor a command's has a word that the glossary replaces, or a line over 100 columns."""
    texts = [program_help("p", COMMANDS, WIDEST), *(command_help("p", one, WIDEST) for one in COMMANDS.values())]
    assert [_avoided(text) for text in texts if _avoided(text)] == []
    assert max(len(line) for text in texts for line in text.splitlines()) <= WIDEST


def test_code_uses_the_words_of_the_glossary() -> None:
    """No name, message, docstring or comment of the package has a word that the glossary replaces."""
    found = {}
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        if not _worth_parsing(text):
            continue
        tree = ast.parse(text)
        names = sorted({name for name in (module.stem, *_names(tree)) if NAMES.search(_snake(name))})
        messages = sorted({text for text in _messages(tree) if _avoided(text)})
        prose = [line for line in (*_docstrings(tree), *_comments(text)) if _avoided(line)]
        if names or messages or prose:
            found[str(module.relative_to(REPOSITORY))] = names + messages + prose
    assert found == {}


def test_modules_and_functions_are_short() -> None:
    """No module of the package is longer than 350 lines, and no function longer than 80."""
    lines = {module: module.read_text(encoding="utf-8") for module in MODULES}
    assert len(lines) > 100
    modules = {path.name: count for path, text in lines.items() if (count := len(text.splitlines())) > LONGEST_MODULE}
    functions = {
        f"{path.name}: {node.name}": node.end_lineno - node.lineno + 1
        for path, text in lines.items()
        if any(part.count("\n") >= LONGEST_FUNCTION for part in OUTERMOST.split(text))
        for node in statements(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    }
    assert (modules, functions) == ({}, {})


def test_names_of_tests_use_the_words_of_the_glossary() -> None:
    """No test is called by a word that the glossary replaces."""
    named = [name for module in TESTS for name in re.findall(r"def (test_\w+)", module.read_text(encoding="utf-8"))]
    assert len(named) > 1000
    assert [name for name in named if NAMES.search(name)] == []


def test_the_glossary_replaces_every_word_that_is_looked_for() -> None:
    """Each avoided word stands on the left of the glossary's table, and is found there."""
    page = (REPOSITORY / "docs/glossary.md").read_text(encoding="utf-8").partition("## Style")[2]
    replaced = [row.split("|")[1].strip() for row in page.splitlines() if row.startswith("| ")][2:]
    assert replaced
    assert [words for words in replaced if not _avoided(words)] == []


def test_the_check_itself_tells_words_apart() -> None:
    """An avoided word is found as a word, in names and sentences, and not inside another one or a published code."""
    assert _avoided("It heals what was Told.") == ["heals", "Told"]
    assert [_worth_parsing(text) for text in ("It HEALS.", "It was Told.", "It is.")] == [True, True, False]
    assert _avoided("recommended, indoors, health; leftover-temp") == []
    assert [bool(NAMES.search(_snake(name))) for name in ("RunHealer", "mend_all", "Surroundings", "amend")] == [
        *(False, True, True, False)
    ]


def _worth_parsing(text: str) -> bool:
    lowered = text.lower()
    return any(stem in lowered for stem in STEMS)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _names(tree: ast.AST) -> Iterator[str]:
    """Return the names that a module gives: of functions, classes, parameters and what it assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _messages(tree: ast.AST) -> Iterator[str]:
    """Return the literal texts of a module without its docstrings."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def _docstrings(tree: ast.AST) -> Iterator[str]:
    """Return the lines of a module's docstrings, those of constants included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from node.value.value.splitlines()


def _comments(text: str) -> Iterator[str]:
    """Return the comments of a module."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
