"""From a photo to its color, at any size: working copy, prediction, choice of colors, rendering.

Start with `pipeline`: predict, choose colors, render. `tiles` does everything that depends on the size of the photo,
`resampling` resizes and fits chroma to edges, `things` tells what belongs together, `hints` spreads known colors,
`variants` finds other plausible colors, `looks` names them, and `blending` blends colors and stabilizes videos.
`colorizing` takes photos of any kind, and adds weights from a file; `pure` is the whole pipeline as one function. This
wing imports `color`, `networks`, `config`, `photos` and `weights`. Everything is pure except `colorizing`, `variants`
and `looks`.
"""
