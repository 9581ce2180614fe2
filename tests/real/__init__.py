"""Real codebases from the registries, onboarded and started untouched: what passes at the first start. Not in CI."""
