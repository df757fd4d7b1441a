"""Measurements, run from the repository's root as `python -m benchmarks.NAME`; records go to `benchmarks/results/`."""
