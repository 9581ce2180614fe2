"""The rules of the benchmarks: noise, ratios, goals."""
