from . import color, export
from .color import (
    apply_chroma,
    ciede2000,
    fit_gamut,
    lab_to_rgb,
    luma_chroma_to_rgb,
    rgb_to_gray,
    rgb_to_lab,
    rgb_to_luma_chroma,
)
from .config import Config, fit_config, preset
from .errors import ColorjaxError
from .evaluation import metrics
from .evaluation.evaluate import evaluate
from .inference.colorizing import colorize
from .inference.hints import Hints
from .inference.pure import colorize_gray
from .inference.variants import colorize_variants, palette
from .networks import forward, init_params
from .training.losses import loss
from .training.optimizer import make_optimizer
from .training.step import TrainState, init_state, train_step
from .weights import load_weights, save_weights

__all__ = [
    "ColorjaxError",
    "Config",
    "Hints",
    "TrainState",
    "apply_chroma",
    "ciede2000",
    "color",
    "colorize",
    "colorize_gray",
    "colorize_variants",
    "evaluate",
    "export",
    "fit_config",
    "fit_gamut",
    "forward",
    "init_params",
    "init_state",
    "lab_to_rgb",
    "load_weights",
    "loss",
    "luma_chroma_to_rgb",
    "make_optimizer",
    "metrics",
    "palette",
    "preset",
    "rgb_to_gray",
    "rgb_to_lab",
    "rgb_to_luma_chroma",
    "save_weights",
    "train_step",
]

__version__: str
