"""The package ``orchestrator.onboarding``, without processes and network."""
