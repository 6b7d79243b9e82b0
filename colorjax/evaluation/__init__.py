"""Results: metrics, baselines and reports.

Start with `metrics`, which measures one photo and then summarizes many. `baselines` holds colorings that a network has
to beat, `evaluate` measures weights next to them, and `report` draws curves and sheets. This package imports
`inference`, `photos` and `color`. `metrics` reads no files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["metrics"])
