"""Results: metrics, baselines, and how they are shown.

Read `metrics` first: numbers of one photo, then of many. `baselines` are what a network has to beat, `evaluate`
measures weights beside them, `report` draws curves and sheets. This wing imports `inference`, `photos` and
`color`; `metrics` knows no files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["metrics"])
