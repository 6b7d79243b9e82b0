"""From a photo to its color, at any size: working copy, prediction, choice of colors, rendering.

Start with `pipeline`: predict, choose colors, render. `tiles` does everything that depends on the size of the photo,
`resampling` resizes and fits chroma to edges, `hints` spreads known colors, `variants` finds other plausible colors,
and `blending` blends colors and stabilizes videos. `colorizing` adds weights from a file. This wing imports `color`,
`networks`, `config` and `weights`. Everything except `colorizing` and `variants` is pure.
"""
