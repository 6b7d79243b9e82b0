"""Evaluation of weights and baselines on photos, with one protocol."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8

from colorjax.color import rgb_to_luma_chroma
from colorjax.color.luma import LUMA_WEIGHTS
from colorjax.config import Config, DenseConfig
from colorjax.evaluation import metrics
from colorjax.evaluation.baselines import apply_baselines
from colorjax.evaluation.metrics import compare, measure, summarize
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
    lpips: bool = False,
) -> dict[str, Any]:
    """Measure weights and baselines on photos of one size.

    A dense network at its own size is measured by `forward`. Everything else is measured by `colorize` of the rounded
    gray, next to an upper bound: the true chroma at the resolution of the network, upsampled like a prediction.

    Args:
        rgb: The true photos, uint8.
        names: The names of the photos.
        params: The parameters of the network.
        config: The config of the network.
        baselines: The result of `fit_baselines`.
        vividness: As for `colorize`. Not for a dense network at its own size.
        hints: The number of places whose true color is given, the same at each call: one is the center, more are
            random. Not for a dense network at its own size.
        lpips: Whether to add `metrics.lpips`, which takes a second per photo and needs the extra `metrics`.

    Returns:
        A dict that JSON can hold: `summary` maps each method to its mean metrics, and `photos` lists for each photo its
        name and its metrics by method.

    Example:
        >>> from colorjax.photos import load_square, sample_photos
        >>> path = sample_photos()[3]
        >>> photo = load_square(path, 32, framing="crop")
        >>> params, config = colorjax.load_weights("photo-small")
        >>> result = colorjax.evaluate([photo], [path.name], params, config, baselines={})
        >>> sorted(result["summary"])
        ['gray', 'upper bound', 'weights']
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
        scores = {how: measure(c, truth) for how, c in colored.items()}
        if lpips:
            for how, result in colored.items():
                scores[how]["lpips"] = metrics.lpips(result, truth)
        photos.append({"name": name} | scores)
    return {"summary": summarize_methods(photos), "photos": photos}


def summarize_methods(photos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average the metrics of each method over photos.

    Args:
        photos: Some of the `photos` of `evaluate`, at least one.

    Returns:
        For each method, what `metrics.summarize` and `metrics.compare` return.
    """
    scores = {how: [photo[how] for photo in photos] for how in photos[0] if how != "name"}
    return {how: summarize(own) | compare(own, scores["gray"]) for how, own in scores.items()}


def _true_hints(truth, count, seed):
    """Return the true color of the center, or of random places."""
    side = truth.shape[0]
    places = np.full((1, 2), side // 2)
    if count != 1:
        places = np.random.default_rng(seed).integers(0, side, (count, 2))
    return Hints(places, truth[tuple(places.T)])


def _upper_bound(gray, truth, config):
    """Color with the true chroma, as a perfect network would predict it."""
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
