"""No circle between files, and no delay of an import without its reason."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

from tests.import_budget import LATE

PACKAGE = Path(__file__).parents[2] / "orchestrator"


def has_late_imports(source: str) -> bool:
    """Tell whether functions of a module import modules of ours: by the unindented line that an import stands below."""
    above = ""
    for line in source.splitlines():
        if line[:1].strip():
            above = line
        elif line.lstrip().startswith("from orchestrator") and not above.startswith("if TYPE_CHECKING"):
            return True
    return False


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


def test_imports_are_late_only_where_the_table_has_a_reason() -> None:
    """A module imports ours at its top, but for those that the table names, and no row is idle."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if has_late_imports(path.read_text(encoding="utf-8")):
            found.add(name)
    rows = {row: {name for name in found if f"{name}.".startswith(f"{row}.")} for row in LATE}
    assert sorted(found - set().union(*rows.values())) == []
    assert [row for row, names in rows.items() if not names] == []
