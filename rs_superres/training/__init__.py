"""Training: scenes in, a model folder out."""
