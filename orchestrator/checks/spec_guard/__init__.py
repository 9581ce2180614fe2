"""The spec guard (``guard``). This file loads nothing: a start asks ``bases`` only."""
