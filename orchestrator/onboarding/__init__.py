"""Bringing in: what a codebase builds, lints and tests with, and the files that make it a project.

A codebase is looked at (``detecting``), what was found becomes a ``Proposal``, a proposal becomes files
(``files``), and files are written all or none (``writing``). Nothing here prints, asks or runs a command.
"""
