"""Colours that a person knows, at places of a photo."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Hints:
    """Places and their colours."""

    places: np.ndarray
    rgb: np.ndarray
