"""Speed, measured as a ratio against something that runs beside it: ``python -m benchmarks`` (docs/performance.md)."""
