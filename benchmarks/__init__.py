"""What the project measures of itself; see docs/performance.md."""
