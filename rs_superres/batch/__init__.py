"""Upscale folders of scenes, or one scene on many workers, with dask.

``cluster``, ``run`` and ``cells`` need the packages of the extra ``cluster``.

- ``folder``: the scenes of a batch, and the names of their results.
- ``names``: the names of scenes that GDAL opens, made absolute.
- ``cluster``: connect to a cluster, and run tasks on its workers.
- ``job``: one scene of a batch, on one worker.
- ``run``: all of them on a cluster, with retries. ``sequence``: all of them here, one by one.
- ``report``: what a batch did, as JSON and as a web page.
- ``cells``: one scene, each worker computing some of its cells.
"""
