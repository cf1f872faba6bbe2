"""Benchmarks of speed, memory and accuracy; docs/performance.md explains the results."""
