"""One HTML page to look at a result next to its source.

Read the modules in this order:

- ``pair``: the open rasters of a page, and the bands that it shows.
- ``parts``: which windows of the result the page shows, so that it does not exceed its size limit.
- ``layers``: the pixels of a window: source, cubic, result and uncertainty.
- ``encoding``: pixels as text that the page's script can read.
- ``page``: the HTML around them. ``build``: all of this in one call. ``server``: serves the page.
"""

from rs_superres.view.build import View, ViewOptions, page_path, view

__all__ = ["View", "ViewOptions", "page_path", "view"]
