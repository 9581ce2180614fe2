"""Crash-safe files and locks, never through a symbolic link.

Every durable operation goes through one ``Seam``, so that a test can stop the world, or make it fail,
at each of them. A ``Folder`` is an open directory: what is below it is opened by descriptor, one name
at a time, without following links.

Write recipe: temporary file in the same folder, fsync, replace, fsync of the folder. Without the first
fsync a power cut leaves an empty file, without the second the old one.
"""

from orchestrator.base.files.folder import Folder, whole_lines
from orchestrator.base.files.locks import HELD, Lock, take_open, take_patiently, usual_patience
from orchestrator.base.files.refusals import MissingError, explained, refuse_irregular
from orchestrator.base.files.system_calls import FILE_MODE, Seam, leave_owner_rights, write_all

__all__ = [
    "FILE_MODE",
    "HELD",
    "Folder",
    "Lock",
    "MissingError",
    "Seam",
    "explained",
    "leave_owner_rights",
    "refuse_irregular",
    "take_open",
    "take_patiently",
    "usual_patience",
    "whole_lines",
    "write_all",
]
