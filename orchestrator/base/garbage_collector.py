"""Python's garbage collector, kept out of the way of who makes very many values that refer to each other in no circle.

It looks at all values anew each time that a quarter more have come: 12 % of a ``metrics`` over 100,000 runs.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the collector off for a while, where it was on."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
