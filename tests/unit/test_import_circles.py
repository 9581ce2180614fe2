"""No circle between files: what one file needs never leads back to it."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


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
