"""From a photo to its color, at any size: the working copy, the prediction, the choice, the paint.

Read `pipeline` first: predict, choose_colors, render. `tiles` does all that depends on the photo's size, `resampling`
resizes and fits colors to edges, `hints` spreads known colors, `variants` finds other plausible ones,
`blending` steadies videos. `colorizing` adds weights from a file. This wing imports `color`, `networks`,
`config` and `weights`; all but `colorizing` and `variants` are pure.
"""
