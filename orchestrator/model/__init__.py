"""The values of a run, and pure rules on them."""
