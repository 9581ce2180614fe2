"""The package ``orchestrator.report``, without processes and network."""
