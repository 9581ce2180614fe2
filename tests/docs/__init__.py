"""The documents: links and examples."""
