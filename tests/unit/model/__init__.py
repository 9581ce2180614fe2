"""The package ``orchestrator.model``, without processes and network."""
