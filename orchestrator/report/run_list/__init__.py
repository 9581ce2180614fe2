"""Many runs at once: their names in order of time, and the task's metrics read from their end."""
