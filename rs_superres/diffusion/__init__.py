"""The equations of diffusion: noise schedules, preconditioning and samplers.

Nothing here holds weights or reads files; networks are passed in as functions.
"""
