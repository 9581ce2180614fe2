"""Forms of an exported run."""
