"""One cell of a scene, from source pixels to digital numbers.

- ``bands``: what each band is used for, and which bands go through the network together.
- ``recipe``: everything that decides a cell's pixels.
- ``reader``, ``halo``: source pixels around a cell, by window.
- ``inference``, ``samples``: the networks at one scale, and the samples that they draw.
- ``cell``: a cell computed; ``image``: a whole array computed in memory.
- ``survey``: what the tool sees in a raster, for ``rs-sr info``.

The package imports none of them by itself: ``survey`` needs no torch, and ``rs-sr info`` is fast.
"""
