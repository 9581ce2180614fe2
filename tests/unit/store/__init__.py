"""The package ``orchestrator.store``, without processes and network."""
