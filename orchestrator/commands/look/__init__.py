"""Commands that show runs and plans, and write nothing."""
