"""The models that ship: a folder each, with config, weights and card. No code."""
