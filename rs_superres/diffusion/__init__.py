"""The equations of diffusion: the noise schedule, and samplers.

Nothing here holds weights or reads files; networks are passed in as functions.
"""
