"""The package ``orchestrator.process``, without processes and network."""
