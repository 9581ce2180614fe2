"""The package ``orchestrator.cli``, without processes and network."""
