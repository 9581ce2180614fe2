"""Which projects a fleet runs, and why: selections over the configs of a workspace, and the plan made of one."""
