"""Verifying records against the chain of their task: what was edited, removed, reordered or cut. Reads only."""
