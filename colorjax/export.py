"""Networks for other programs: ONNX by jax2onnx, StableHLO by jax.export (the extra `export`)."""

import functools
import logging
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from colorjax.config import Config
from colorjax.errors import OutputError, UsageError
from colorjax.inference import ASPECTS, working_shape
from colorjax.networks import forward
from colorjax.photos import write_bytes

FORMATS = ("onnx", "stablehlo")
WIDEST = 2.0  # aspect of the photos that files are written for
PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    folder: str | os.PathLike,
    weights: tuple[PyTree, Config],
    *,
    format: str = "onnx",
    overwrite: bool = False,
) -> Iterator[pathlib.Path]:
    """Write `forward` of one working copy to RGB levels, a file a shape.

    Args:
        folder: made if it is not there.
        weights: (params, config).
        format: "onnx" or "stablehlo".
        overwrite: replace files that exist.

    Yields:
        The path of each file, after it is written.

    Raises:
        UsageError: the extra is not installed.
        OutputError: a file exists, or cannot be written.

    Spec: EXP-001, EXP-002, EXP-003
    """
    params, config = weights
    encode = {"onnx": to_onnx, "stablehlo": to_stablehlo}[format]
    function = functools.partial(forward, params, config=config)
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder ({error.strerror})") from None
    for h, w in shapes(config):
        path = pathlib.Path(folder, f"colorjax-{h}x{w}.{format}")
        if overwrite or not path.exists():
            write_bytes(path, encode(function, (h, w)), overwrite=overwrite)
        yield path


def shapes(config: Config) -> list[tuple[int, int]]:
    """Return the shapes that working copies of photos up to 2 : 1 have, the square first.

    Spec: EXP-001, INF-010
    """
    usual = [aspect for aspect in ASPECTS if aspect <= WIDEST]
    wide = [working_shape((1000, round(1000 * aspect)), config) for aspect in usual]
    return list(dict.fromkeys([*wide, *((w, h) for h, w in wide)]))


def to_onnx(function: Callable, shape: tuple[int, int]) -> bytes:
    """Return a function of a float32 array as the bytes of an ONNX model.

    Raises:
        UsageError: the extra is not installed.

    Spec: EXP-001, EXP-003
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # it tells of plugins for other libraries that it cannot load
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from jax2onnx import to_onnx  # pyright: ignore[reportMissingImports]

            inputs = [jax.ShapeDtypeStruct(shape, jnp.float32)]
            model = to_onnx(function, inputs, model_name="colorjax")
            _make_bounds_float(model.graph)
            model.graph.ClearField(
                "value_info"
            )  # some of its notes on shapes are wrong, and none is needed
            return model.SerializeToString()
    except ImportError:
        raise _not_installed() from None
    finally:
        logging.disable(disabled)


def to_stablehlo(function: Callable, shape: tuple[int, int]) -> bytes:
    """Return a function of a float32 array as the bytes that `jax.export.deserialize` reads.

    Raises:
        UsageError: the extra is not installed.

    Spec: EXP-002, EXP-003
    """
    from jax import export as jax_export

    inputs = jax.ShapeDtypeStruct(shape, jnp.float32)
    exported = jax_export.export(jax.jit(function), platforms=PLATFORMS)(inputs)
    try:
        return bytes(exported.serialize())
    except ImportError:  # flatbuffers
        raise _not_installed() from None


def _make_bounds_float(graph: Any) -> None:
    """Make the numbers that arrays are bounded by float32: jax2onnx leaves Python's as double or integer."""
    from onnx import numpy_helper  # pyright: ignore[reportMissingImports]

    bounds = {name for node in graph.node if node.op_type in ("Max", "Min") for name in node.input}
    for constant in graph.initializer:
        if constant.name in bounds:
            number = numpy_helper.to_array(constant).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(number, constant.name))


def _not_installed() -> UsageError:
    return UsageError("export needs more packages; expected: pip install 'colorjax[export]'")
