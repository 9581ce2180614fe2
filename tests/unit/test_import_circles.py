"""No circle between files, and no delay of an import without its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

from tests.import_budget import LATE_IN_COMMANDS

COMMANDS = Path(__file__).parents[2] / "orchestrator" / "commands"


def late_imports(source: str) -> Iterator[str]:
    """Yield the modules of ours that functions of a module import."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("orchestrator"):
            yield str(node.module)


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checkers count too."""
    graph = grimp.build_graph("orchestrator", exclude_type_checking_imports=False, cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(needs) > 300
    try:
        order = tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
    assert len(order) == len(needs)


def test_commands_import_late_only_where_the_table_has_a_reason() -> None:
    """A module of a command imports ours at its top, but for those that the table names, and no row is idle."""
    found = set()
    for path in COMMANDS.rglob("*.py"):
        name = ".".join(path.relative_to(COMMANDS.parents[1]).with_suffix("").parts)
        if list(late_imports(path.read_text())):
            found.add(name)
    rows = {row: {name for name in found if f"{name}.".startswith(f"{row}.")} for row in LATE_IN_COMMANDS}
    assert sorted(found - set().union(*rows.values())) == []
    assert [row for row, names in rows.items() if not names] == []
