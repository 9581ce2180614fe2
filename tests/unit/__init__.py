"""Fast and pure: no processes, no network."""
