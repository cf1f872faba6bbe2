"""How good models are: rasters shrunk, enlarged again, and compared with what they were.

Also pairs of two sensors, where low resolution is a measurement of its own. A report tells means,
spreads and confidence intervals, always beside bicubic on the same pipeline.
"""
