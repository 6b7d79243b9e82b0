"""From a photo to its color, at any size: working copy, prediction, choice of colors, rendering.

Start with `pipeline`: predict, choose colors, render. `tiles` does everything that depends on the size of the photo,
and `resampling` resizes and fits chroma to edges. `things` finds which places belong to one thing, `hints` spreads
known colors, and `following` moves hints with their things in videos. `variants` finds other plausible colors, `looks`
names them, and `blending` blends colors and stabilizes videos. `colorizing` accepts photos of any kind, and loads
weights from a file. `pure` is the whole pipeline as one function. This package imports `color`, `networks`, `config`,
`photos` and `weights`. Everything is pure except `colorizing`, `variants` and `looks`.
"""
