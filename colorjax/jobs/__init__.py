"""Many files, and never one lost: folders, videos, archives, galleries.

Read `batch` first: one photo after the other, each failure its own. `planning` decides what is written where by
the rule of `outputs`, `coloring` colors one photo of any number of pages, `video` a video; `archive` spreads a
folder over workers, `gallery` makes pages of results, `hintfiles` reads hints. This wing imports `photos`,
`inference` and `evaluation.report`.
"""
