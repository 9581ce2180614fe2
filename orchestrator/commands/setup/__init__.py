"""Commands that bring codebases and older records in."""
