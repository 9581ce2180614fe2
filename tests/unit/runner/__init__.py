"""The package ``orchestrator.runner``, without processes and network."""
