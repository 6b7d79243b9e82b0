from .color import rgb_to_gray
from .config import Config, preset
from .errors import ColorjaxError
from .inference.colorizing import colorize
from .inference.pure import colorize_gray
from .networks import forward, init_params
from .training.losses import loss
from .training.optimizer import make_optimizer
from .training.step import TrainState, init_state, train_step
from .weights import load_weights, save_weights

__all__ = [
    "ColorjaxError",
    "Config",
    "TrainState",
    "colorize",
    "colorize_gray",
    "forward",
    "init_params",
    "init_state",
    "load_weights",
    "loss",
    "make_optimizer",
    "preset",
    "rgb_to_gray",
    "save_weights",
    "train_step",
]

__version__: str
