"""Commands that judge runs, and record decisions and proofs."""
