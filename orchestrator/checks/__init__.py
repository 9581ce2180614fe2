"""What documents and code claim, held against records and git."""
