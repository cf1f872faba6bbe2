"""Training: turn scenes into a model folder."""
