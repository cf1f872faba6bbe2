"""Folders of scenes, and scenes on many workers: the only package that knows dask."""
