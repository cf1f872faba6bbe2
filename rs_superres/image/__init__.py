"""Functions on (band, y, x) arrays: radiometry, resampling, degradation, consistency, noise.

Statistics and pictures of arrays are here too. Only ``pictures`` touches files.
"""
