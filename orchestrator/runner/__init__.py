"""One attempt of a run, from its first record to its last."""
