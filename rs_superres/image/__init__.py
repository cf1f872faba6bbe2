"""Pure functions on (band, y, x) arrays: radiometry, resampling, degradation, noise, statistics."""
