"""Weights and baselines measured on photos, by one protocol."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8

from colorjax.color import rgb_to_luma_chroma
from colorjax.config import Config, DenseConfig
from colorjax.evaluation.baselines import LUMA_WEIGHTS, apply_baselines
from colorjax.evaluation.metrics import measure, summarize
from colorjax.inference.colorizing import colorize_array
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import recolor, working_shape
from colorjax.inference.resampling import SLOPE, guided_coefficients, resize_matrix
from colorjax.inference.tiles import paint, shrink_gray
from colorjax.networks.photo import CELL


def evaluate(
    rgb: Sequence[UInt8[np.ndarray, "n n 3"]] | UInt8[np.ndarray, "photos n n 3"],
    names: Sequence[str],
    params: PyTree,
    config: Config,
    baselines: dict[str, Any],
    *,
    vividness: float = 1.0,
    hints: int = 0,
) -> dict[str, Any]:
    """Measure weights and baselines on photos of one size.

    At a dense network's own size `forward` is measured as it is; else `colorize` of the rounded gray, and beside it the
    upper bound: the truth's chroma at the network's resolution, lifted like a prediction.

    Args:
        rgb: the truth.
        names: of the photos.
        params: of the network.
        config: of the network.
        baselines: as `fit_baselines` gives them.
        vividness: as for `colorize`; not for a dense network at its own size.
        hints: places whose true color is told, the same at each call: one is the center, more are random; likewise.

    Returns:
        JSON-able: `summary`, from method to its mean metrics, and `photos`, each with its name and its metrics by
        method.
    """
    own_size = isinstance(config.network, DenseConfig) and rgb[0].shape[0] == config.size
    if own_size:
        ours = np.asarray(recolor(params, jnp.asarray(np.stack(list(rgb))), config))
    photos = []
    for i, (name, truth) in enumerate(zip(names, rgb, strict=True)):
        gray = truth @ LUMA_WEIGHTS
        if own_size:
            colored = {"weights": ours[i]}
        else:
            rounded = np.rint(gray).astype(np.uint8)
            bound = _upper_bound(rounded, truth, config)
            colored = {
                "weights": colorize_array(
                    rounded,
                    (params, config),
                    vividness=vividness,
                    hints=_true_hints(truth, hints, i),
                ),
                "upper bound": bound,
            }
        colored |= apply_baselines(baselines, gray)
        photos.append({"name": name} | {how: measure(c, truth) for how, c in colored.items()})
    methods = [how for how in photos[0] if how != "name"]
    summary = {how: summarize([photo[how] for photo in photos]) for how in methods}
    return {"summary": summary, "photos": photos}


def _true_hints(truth, count, seed):
    """Return the true color of the center, or of some random places."""
    side = truth.shape[0]
    places = np.full((1, 2), side // 2)
    if count != 1:
        places = np.random.default_rng(seed).integers(0, side, (count, 2))
    return Hints(places, truth[tuple(places.T)])


def _upper_bound(gray, truth, config):
    """Color with the truth's chroma as a perfect network would predict it."""
    shape = working_shape(gray.shape, config)
    dense = isinstance(config.network, DenseConfig)
    cells = shape if dense else (shape[0] // CELL, shape[1] // CELL)
    rows, columns = (
        jnp.asarray(resize_matrix(many, few, method="bicubic"))
        for many, few in zip(gray.shape, cells, strict=True)
    )
    _, chroma = rgb_to_luma_chroma(jnp.asarray(truth, jnp.float32))
    chroma = jnp.einsum("in,nmc,jm->ijc", rows, chroma, columns, precision="highest")
    guide = jnp.asarray(shrink_gray(gray, cells))
    return paint(
        gray, np.asarray(guided_coefficients(chroma, guide, share=0.0 if dense else SLOPE))
    )
