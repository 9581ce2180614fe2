"""The package ``orchestrator.git``, without processes and network."""
