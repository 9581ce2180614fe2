"""Looking over all records of a workspace, and repairing what can be repaired.

Looking writes nothing. What follows from manifests is compared with them, so nothing here has a truth of
its own. A run that is alive, or just about to be published, is its own process's business: it is skipped.
"""
