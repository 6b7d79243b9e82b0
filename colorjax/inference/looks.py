"""Named looks: the ways to color a photo that people ask for."""

import functools
import math
from typing import NamedTuple

import numpy as np

from colorjax.config import Config, DenseConfig
from colorjax.errors import ConfigError
from colorjax.inference.pipeline import Prediction, Tilt
from colorjax.inference.variants import distinct_tilts
from colorjax.networks.bins import bin_centers

NATURAL = "natural"
LEAN = 0.7  # strength of the warm and the cool look
WARM = math.atan2(-0.8, 1.0)  # hue of the warm look in (R − Y, B − Y); the cool one is opposite
OTHERS = 3  # plausible colorings, including the likeliest one, from which looks choose


class Look(NamedTuple):
    """A way to color a photo.

    Attributes:
        label: Its name for people.
        vivid: A factor on the vividness.
        hue: The hue that it prefers, in (R − Y, B − Y), or None.
        other: The number of another plausible coloring, or 0 for the likeliest one.
    """

    label: str
    vivid: float = 1.0
    hue: float | None = None
    other: int = 0


LOOKS = {
    "natural": Look("Natural"),
    "vivid": Look("Vivid", vivid=1.6),
    "warm": Look("Warm", hue=WARM),
    "cool": Look("Cool", hue=WARM + math.pi),
    "other-1": Look("Another idea", other=1),
    "other-2": Look("A third idea", other=2),
}
DENSE_LOOKS = {  # looks of a network that predicts one color for each place
    "natural": Look("Natural"),
    "soft": Look("Soft", vivid=0.6),
    "vivid": Look("Vivid", vivid=1.6),
    "bold": Look("Bold", vivid=2.4),
}


def looks(config: Config) -> dict[str, Look]:
    """Return the looks that a network can give, by name. The first one is natural."""
    return DENSE_LOOKS if isinstance(config.network, DenseConfig) else LOOKS


def find_look(name: str, config: Config) -> Look:
    """Return a look by its name.

    Raises:
        ConfigError: the network has no such look.
    """
    offered = looks(config)
    if name not in offered:
        raise ConfigError(f"unknown look {name!r}; expected one of {', '.join(offered)}")
    return offered[name]


def look_tilt(prediction: Prediction, look: Look, config: Config) -> float | np.ndarray | Tilt:
    """Return the preference for some colors that makes a look, for `pipeline.choose_colors`.

    Args:
        prediction: From `pipeline.predict`.
        look: One of the network's looks.
        config: The config of the network.
    """
    if look.other:
        return distinct_tilts(prediction, config, OTHERS)[look.other]
    return 0.0 if look.hue is None else _leaning(config, look.hue)


@functools.cache
def _leaning(config: Config, hue: float) -> np.ndarray:
    """Return a preference for one half of the hues over the other."""
    assert not isinstance(config.network, DenseConfig)
    red, blue = bin_centers(config.network).T
    toward = np.cos(np.arctan2(blue, red) - hue)
    return np.float32(LEAN) * np.where(np.hypot(red, blue) > 0, toward, 0).astype(np.float32)
