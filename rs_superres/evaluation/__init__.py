"""Measure how good models are.

Rasters are downsampled, upscaled again, and compared with the originals. Alternatively, pairs of
two sensors are compared. The report gives means, standard deviations and confidence intervals,
always next to those of bicubic interpolation.
"""
