"""Diffusion as equations: schedules, preconditioning, samplers. No network, no file."""
