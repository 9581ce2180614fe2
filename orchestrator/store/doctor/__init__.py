"""Looking over all records of a workspace, and healing what can be healed.

Looking writes nothing. What follows from manifests is compared with them, so nothing here has a truth of
its own. A run that is alive, or just about to be published, is its own process's business: it is skipped.
"""
