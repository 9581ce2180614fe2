"""Signals by their numbers, without the module ``signal``, which makes enumerations of them: 3 ms with ``enum``.

The numbers, what is called and what handlers mean are the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import (
        SIG_DFL,
        SIG_IGN,
        SIGCHLD,
        SIGHUP,
        SIGINT,
        SIGKILL,
        SIGPIPE,
        SIGTERM,
        SIGXFSZ,
        default_int_handler,
        getsignal,
        set_wakeup_fd,
        signal,
    )
else:
    try:
        from _signal import (
            SIG_DFL,
            SIG_IGN,
            SIGCHLD,
            SIGHUP,
            SIGINT,
            SIGKILL,
            SIGPIPE,
            SIGTERM,
            SIGXFSZ,
            default_int_handler,
            getsignal,
            set_wakeup_fd,
            signal,
        )
    except ImportError:
        from signal import (
            SIG_DFL,
            SIG_IGN,
            SIGCHLD,
            SIGHUP,
            SIGINT,
            SIGKILL,
            SIGPIPE,
            SIGTERM,
            SIGXFSZ,
            default_int_handler,
            getsignal,
            set_wakeup_fd,
            signal,
        )

__all__ = (
    "SIGCHLD",
    "SIGHUP",
    "SIGINT",
    "SIGKILL",
    "SIGPIPE",
    "SIGTERM",
    "SIGXFSZ",
    "SIG_DFL",
    "SIG_IGN",
    "default_int_handler",
    "getsignal",
    "set_wakeup_fd",
    "signal",
)
