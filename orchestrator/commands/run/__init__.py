"""Commands that run pipelines: start, resume, cancel."""
