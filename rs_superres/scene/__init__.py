"""One cell of a scene, from source pixels to digital numbers.

Read the modules in this order to follow a pixel:

- ``bands``: what each band is used for, and which bands go through the network together.
- ``recipe``: everything that determines the pixels of a cell, except the source's values.
- ``reader`` and ``halo``: the source pixels that a cell reads.
- ``inference``: a network at one scale, from network values to network values.
- ``samples``: all samples of a cell, from digital numbers to digital numbers.
- ``cell``: the finished cell. ``image``: an array in memory, computed in the same way.

``survey`` describes a raster for ``rs-sr info``.

The package imports none of these modules: ``survey`` needs no torch, so ``rs-sr info`` starts fast.
"""
