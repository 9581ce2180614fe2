"""TOML files to a compiled plan: ``project_configs/*.toml`` and ``workspace.toml`` read, validated and planned."""
