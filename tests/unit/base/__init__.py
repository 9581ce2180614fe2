"""The package ``orchestrator.base``, without processes and network."""
