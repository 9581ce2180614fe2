"""What ends a call that may only find a run up to date: something has to run for it."""

from __future__ import annotations


class HasToRun(BaseException):
    """The call wrote nothing, and is to be made again in a process that may run stages (``Context.cached_only``).

    No Exception: nothing may take it for a failure of the call.
    """
