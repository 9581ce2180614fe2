"""Records in the early version's formats: found, read and taken into the index."""
