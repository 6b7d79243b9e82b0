"""Color for black-and-white photos, in pure functional JAX.

`colorize` colors one photo, `colorize_variants` gives several plausible colorings, and `palette` the likely colors at a
place. `load_weights`, `forward`, `loss` and `train_step` are the pure functions behind them, `evaluate` and `metrics`
measure results, `export` writes the network for other programs, and `color` converts between color spaces.
`__init__.pyi` lists the public names; each is imported when it is first used.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
