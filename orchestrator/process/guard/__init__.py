"""The guard: a small process beside a run that owns the process trees of its stages.

It is started in an interpreter of its own without site-packages, as the package ``guard``, so nothing in
here may import anything but its neighbours and what is compiled into CPython: a start must take a few
milliseconds, and that is why ``posix``, ``_signal`` and ``_socket`` stand where one expects ``os``,
``signal`` and ``socket`` (those three cost as much again as the whole guard).
"""
