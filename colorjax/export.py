"""Export of networks to other programs: ONNX by jax2onnx, StableHLO by jax.export. Needs the extra `export`."""

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

from colorjax import config as configs
from colorjax.config import Config, DenseConfig
from colorjax.errors import OutputError, missing_extra
from colorjax.inference.pipeline import ASPECTS, working_shape
from colorjax.networks import forward
from colorjax.networks.photo import STRIDE
from colorjax.photos import write_bytes

FORMATS = ("onnx", "stablehlo")
PLATFORMS = ("cpu", "cuda", "tpu")


def export_network(
    folder: str | os.PathLike,
    weights: tuple[PyTree, Config],
    *,
    format: str = "onnx",
    overwrite: bool = False,
) -> Iterator[pathlib.Path]:
    """Write the network as one program for any number and size of photos, and a text that explains its use.

    The program computes `forward`: from working copies in gray to RGB levels.

    Args:
        folder: The folder, which is made if necessary.
        weights: (params, config).
        format: "onnx" or "stablehlo".
        overwrite: Whether to replace existing files.

    Yields:
        The path of each file, after it is written.

    Raises:
        UsageError: the extra is not installed.
        OutputError: a file exists, or cannot be written.
    """
    encode = {"onnx": to_onnx, "stablehlo": to_stablehlo}[format]
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder ({error.strerror})") from None
    program, text = (pathlib.Path(folder, f"colorjax.{suffix}") for suffix in (format, "txt"))
    for path, make in (
        (program, functools.partial(encode, *weights)),
        (text, lambda: usage(weights[1]).encode()),
    ):
        if overwrite or not os.path.exists(path):
            write_bytes(path, make(), overwrite=overwrite)
        yield path


def shapes(config: Config) -> list[tuple[int, int]]:
    """Return the shapes that the network takes and that are closest to the working copies of `colorize`.

    The square comes first.
    """
    wide = [working_shape((1000, round(1000 * aspect)), config) for aspect in ASPECTS]
    step = _multiple(config) or 1
    wide = [(max(1, round(h / step)) * step, max(1, round(w / step)) * step) for h, w in wide]
    return list(dict.fromkeys([*wide, *((w, h) for h, w in wide)]))


def usage(config: Config) -> str:
    """Return a text that explains how to use the program."""
    copies = ", ".join(f"{h} x {w}" for h, w in shapes(config))
    sides = (
        "of exactly this size"
        if _multiple(config) is None
        else (f"whose height and width are multiples of {_multiple(config)}")
    )
    soft = ""
    if config.softness != 1:
        soft = f"""
The network expects soft copies: then shrink the copy {config.softness:g} times, and enlarge it to its size again."""
    return f"""The network of colorjax, for programs without Python.

Input "gray": float32 [photos, height, width], levels 0 to 255, 0.21 R + 0.72 G + 0.07 B of sRGB.
Output "rgb": float32 [photos, height, width, 3], sRGB levels 0 to 255.

Any number of photos of one size {sides}.
Sizes that suit it best, close to those of the working copies that colorjax makes: {copies}.
Resize the gray of a photo to the size with the closest aspect ratio, with antialiasing (such as Lanczos).{soft}

To color a photo at full size: take r = R - Y and b = B - Y of the output, with Y = 0.21 R + 0.72 G + 0.07 B, resize
both to the size of the photo (bilinear), and add them to its own gray g: R = g + r, B = g + b,
G = (g - 0.21 R - 0.07 B) / 0.72.
"""


def to_onnx(params: PyTree, config: Config) -> bytes:
    """Return the network as the bytes of an ONNX model.

    Raises:
        UsageError: the extra is not installed.
    """
    multiple, config = _multiple(config), _portable(config)

    def from_blocks(blocks: jax.Array) -> jax.Array:
        photos, rows, high, columns, wide = blocks.shape
        return forward(params, blocks.reshape(photos, rows * high, columns * wide), config)

    if multiple is None:
        shape = ("photos", config.size, config.size)
        model = _converted(lambda gray: forward(params, gray, config), shape, "gray")
    else:  # jax2onnx cannot express that a size is a multiple of a number
        shape = ("photos", "rows", multiple, "columns", multiple)
        model = _from_plain(_converted(from_blocks, shape, "blocks"), multiple)
    return model.SerializeToString()


def to_stablehlo(params: PyTree, config: Config) -> bytes:
    """Return the network as bytes that `jax.export.deserialize` reads.

    Raises:
        UsageError: the extra is not installed.
    """
    from jax import export as jax_export

    multiple, config = _multiple(config), _portable(config)
    side = f"photos, {config.size}, {config.size}"
    if multiple is not None:
        side = f"photos, {multiple}*rows, {multiple}*columns"
    shape = jax_export.symbolic_shape(side)
    program = jax.jit(lambda gray: forward(params, gray, config))
    exported = jax_export.export(program, platforms=PLATFORMS)(
        jax.ShapeDtypeStruct(shape, jnp.float32)
    )
    try:
        return bytes(exported.serialize())
    except ImportError:  # flatbuffers
        raise missing_extra("export", "export") from None


def _multiple(config: Config) -> int | None:
    """Return the number of which height and width must be multiples, or None if they are fixed."""
    return None if isinstance(config.network, DenseConfig) else STRIDE


def _portable(config: Config) -> Config:
    """Return the config with operations that other programs support."""
    if isinstance(config.network, DenseConfig):
        return config
    return configs.replace(config, {"network.depthwise": "native"})


def _converted(function: Callable, shape: tuple[int | str, ...], name: str) -> Any:
    """Convert a function of a float32 array to ONNX."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # jax2onnx logs which plugins it cannot load
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from jax2onnx import to_onnx  # pyright: ignore[reportMissingImports]

            names = {"input_names": [name], "output_names": ["rgb"]}
            model = to_onnx(function, [shape], model_name="colorjax", **names)
    except ImportError:
        raise missing_extra("export", "export") from None
    finally:
        logging.disable(disabled)
    _make_bounds_float(model.graph)
    model.graph.ClearField("value_info")  # some of these shapes are wrong, and none is needed
    return model


def _from_plain(model: Any, multiple: int) -> Any:
    """Add nodes in front of a model of blocks, so that it accepts [photos, height, width]."""
    from onnx import compose, parser  # pyright: ignore[reportMissingImports]

    versions = ", ".join(f'"{each.domain}": {each.version}' for each in model.opset_import)
    front = parser.parse_model(f"""
        <ir_version: {model.ir_version}, opset_import: [{versions}]>
        front (float[photos, height, width] gray) => (float[photos, rows, {multiple}, columns, {multiple}] cut)
        <int64[4] columns = {{0, 0, -1, {multiple}}}, int64[5] rows = {{0, 0, 0, -1, {multiple}}}> {{
            by_columns = Reshape (gray, columns)
            turned = Transpose <perm = [0, 2, 3, 1]> (by_columns)
            by_both = Reshape (turned, rows)
            cut = Transpose <perm = [0, 3, 4, 1, 2]> (by_both)
        }}""")
    return compose.merge_models(front, model, io_map=[("cut", "blocks")])


def _make_bounds_float(graph: Any) -> None:
    """Convert the bounds of Max and Min to float32. jax2onnx leaves Python numbers as double or integer."""
    from onnx import numpy_helper  # pyright: ignore[reportMissingImports]

    bounds = {name for node in graph.node if node.op_type in ("Max", "Min") for name in node.input}
    for constant in graph.initializer:
        if constant.name in bounds:
            number = numpy_helper.to_array(constant).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(number, constant.name))
