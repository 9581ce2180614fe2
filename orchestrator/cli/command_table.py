"""The commands, in the order of the help. A new one is an entry of its group and a section in ``docs/commands.md``."""

from __future__ import annotations

from orchestrator.cli import look_commands, review_commands, run_commands
from orchestrator.cli.options import table

COMMANDS = table(*run_commands.COMMANDS, *look_commands.COMMANDS, *review_commands.COMMANDS)
