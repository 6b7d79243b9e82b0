"""Work on many files: folders, videos, archives and galleries. One bad file never stops the others.

Start with `batch`, which colors photos on all cores and reports each failure. `planning` decides which file is written
where, and `outputs` makes sure that nothing is overwritten by accident. `coloring` colors one photo with all its pages.
`video` colors a video, with `ffmpeg` and `matroska` behind it. `archive` distributes a folder over workers, `gallery`
writes web pages of results, and `hintfiles` reads hints. This package imports `photos`, `inference` and
`evaluation.report`.
"""
