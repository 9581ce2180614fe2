"""The package ``orchestrator.config``, without processes and network."""
