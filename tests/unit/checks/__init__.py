"""The package ``orchestrator.checks``, without processes and network."""
