"""Checklists of tasks, their mirrors, and the evidence in git that their ticked items cite."""
