"""Run diagnostics, guardrails and reviews for many codebases, and keep a record that can be trusted."""

__version__ = "0.1.0"
