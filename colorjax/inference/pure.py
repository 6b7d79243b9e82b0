"""The whole pipeline as one pure function of arrays, for programs that compile, differentiate or shard it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, Real

from colorjax.color import fit_gamut, luma_chroma_to_rgb
from colorjax.config import Config, check_config
from colorjax.inference.pipeline import choose_coefficients, predict_working_copy, working_shape
from colorjax.inference.resampling import lift_matrix, shrink_matrix
from colorjax.networks import check_gray, check_params


def colorize_gray(
    params: PyTree,
    gray: Real[Array | np.ndarray, "*batch h w"],
    config: Config,
    *,
    vividness: float | Float[Array, ""] = 1.0,
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch h w 3"]:
    """Color gray photos of one size: `colorize` as a pure function.

    It works under `jit` (with `config` static), `vmap` and `grad`, and on batches that are sharded over devices. It
    compiles one program for each size of photo. `colorize` shares its programs between sizes, so it suits files better.

    Args:
        params: The parameters of the network.
        gray: Levels, clipped to [0, 255].
        config: The config of the network. It is static under `jit`.
        vividness: The strength of the color: 0 is gray, 1 is natural.
        temperature: As for `colorize`.

    Returns:
        RGB levels in [0, 255], not rounded, with 0.21 R + 0.72 G + 0.07 B equal to the gray.

    Raises:
        ArgumentError: an argument is of the wrong kind, or the parameters are of another network.

    Example:
        >>> import jax, numpy as np, colorjax
        >>> params, config = colorjax.load_weights()
        >>> color = jax.jit(colorjax.colorize_gray, static_argnames="config")
        >>> color(params, np.full((2, 48, 64), 128.0), config=config).shape
        (2, 48, 64, 3)
    """
    check_config(config)
    check_params(params, config)
    check_gray(gray)
    gray = jnp.clip(jnp.asarray(gray, jnp.float32), 0, 255)
    *batch, height, width = gray.shape
    working = working_shape((height, width), config)
    shrink = [shrink_matrix(side, few) for side, few in zip((height, width), working, strict=True)]

    def color(photo):
        copy = _resize(photo, *shrink)
        prediction = predict_working_copy(params, copy, config)
        coefficients = choose_coefficients(
            prediction, config, vividness=vividness, temperature=temperature
        )
        cells = coefficients.shape[1:]
        lift = [lift_matrix(few, side) for side, few in zip((height, width), cells, strict=True)]
        lifted = _resize(coefficients, *lift)
        chroma = lifted[:2] * photo[None] + lifted[2:]
        return luma_chroma_to_rgb(photo, fit_gamut(photo, jnp.moveaxis(chroma, 0, -1)))

    colored = jax.vmap(color)(gray.reshape(-1, height, width))
    return jnp.clip(colored, 0, 255).reshape(*batch, height, width, 3)


def _resize(
    planes: Float[Array, "*planes h w"],
    rows: Float[np.ndarray, "n h"],
    columns: Float[np.ndarray, "m w"],
) -> Float[Array, "*planes n m"]:
    """Resize both axes by their matrices."""
    return jnp.einsum("nh,...hw,mw->...nm", rows, planes, columns, precision="highest")
