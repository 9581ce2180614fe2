"""The real commands, as processes."""
