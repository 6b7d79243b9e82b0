"""Weights files: safetensors, with the config and the training record in one metadata key."""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import re
from typing import Any, Literal

import jax
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from colorjax import config as configs
from colorjax.config import Config, check_config
from colorjax.errors import ConfigError, WeightsError, check
from colorjax.jsontext import leaves, parse_json
from colorjax.networks import parameter_shapes
from colorjax.photos import write_bytes

FORMAT = 1
_PRETRAINED = pathlib.Path(__file__).parent / "pretrained"
PACKAGED = {
    "photo": _PRETRAINED / "photo.safetensors",
    "photo-small": _PRETRAINED / "photo.safetensors",  # the same network, on a smaller working copy
    "photo-free": _PRETRAINED / "photo-free.safetensors",
}
DEFAULT = "photo"
KEY = "colorjax"  # a single key, because safetensors writes several keys in random order
DTYPES = ("F16", "F32")  # as safetensors names them; large kernels may also be of int8
LARGE = 2**14  # values of a kernel from which on int8 pays; in smaller ones it would lose 0.03 dB
SCALE = ":scale"  # follows the name of an int8 kernel: one factor per output channel


def save_weights(
    path: str | os.PathLike,
    params: PyTree,
    config: Config,
    *,
    record: dict[str, Any] | None = None,
    bits: Literal[8, 16, 32] = 32,
) -> None:
    """Write parameters and config to a safetensors file, completely or not at all. An existing file is replaced.

    Args:
        path: The file. Its folder exists.
        params: A nested dict of finite arrays.
        config: The config of the network.
        record: Facts about the training that JSON can hold, such as the baselines.
        bits: The size of the numbers in the file: float32, float16, or, for large kernels, int8 with a scale per
            output channel. They are read as float32.

    Raises:
        WeightsError: a parameter is not finite.
        OutputError: the file cannot be written.

    Example:
        >>> config = colorjax.preset("seed-relu")
        >>> params = colorjax.init_params(jax.random.key(0), config)
        >>> colorjax.save_weights("weights.safetensors", params, config)
        >>> params, config = colorjax.load_weights("weights.safetensors")
    """
    check_config(config)
    check(
        isinstance(params, dict), "params", params, "a dict of parameters, as init_params gives it"
    )
    check(bits in (8, 16, 32), "bits", bits, "8, 16 or 32")
    values = {name: np.asarray(leaf, np.float32) for name, leaf in leaves(params)}
    for name, value in values.items():
        _check_finite(path, name, value)
    tensors = _pack(values, bits)
    for name, tensor in tensors.items():  # float16 ends at 65,504
        _check_finite(path, name, tensor)
    header = {
        "format": FORMAT,
        "config": json.loads(configs.to_json(config)),
        "record": record or {},
    }
    text = json.dumps(header | {"sha256": _digest(header, tensors)}, sort_keys=True)
    write_bytes(path, safetensors.numpy.save(tensors, {KEY: text}), overwrite=True)


def load_weights(path: str | os.PathLike | None = None) -> tuple[PyTree, Config]:
    """Read the parameters and the config from a weights file.

    Args:
        path: The file, or the name of packaged weights: "photo", "photo-small" or "photo-free". None means
            "photo".

    Returns:
        The parameters as float32 arrays on the default device, and the config.

    Raises:
        WeightsError: the file is missing, damaged, of another format, or does not fit its config.

    Example:
        >>> params, config = colorjax.load_weights("photo-small")
        >>> config.working_size
        96
    """
    check(path is None or isinstance(path, str | os.PathLike), "path", path, "a path or None")
    asked, path = os.fspath(path or DEFAULT), _find(path)
    _, config, tensors = _read(path)
    if asked == "photo-small":
        small = configs.preset(asked)
        config = dataclasses.replace(
            config, working_size=small.working_size, softness=small.softness
        )
    values = _unpack(tensors)
    for name, value in values.items():
        _check_finite(path, name, value)
    params = _unflatten(values)
    return jax.device_put(params), config  # once, not at each call


def load_record(path: str | os.PathLike | None = None) -> dict[str, Any]:
    """Read the record that `save_weights` stored next to the parameters.

    Args:
        path: As for `load_weights`.

    Raises:
        WeightsError: the file is missing, damaged, or of another format.
    """
    return _read(_find(path))[0]["record"]


def _pack(tensors, bits):
    """Return float32 tensors as they are stored."""
    if bits == 32:
        return tensors
    stored = {}
    for name, tensor in tensors.items():
        if bits == 8 and _is_large_kernel(tensor.shape):
            largest = np.abs(tensor).max(axis=tuple(range(tensor.ndim - 1)))
            scale = np.where(largest == 0, 1, largest / 127).astype(np.float32)
            stored[name + SCALE] = scale
            stored[name] = np.rint(tensor / scale).astype(np.int8)
        else:
            stored[name] = tensor.astype(np.float16)
    return stored


def _unpack(stored):
    """Return stored tensors as float32."""
    with np.errstate(invalid="ignore", over="ignore"):  # the caller looks at the values
        return {
            name: tensor * stored[name + SCALE] if tensor.dtype == np.int8 else tensor.astype("f")
            for name, tensor in stored.items()
            if not name.endswith(SCALE)
        }


def _is_large_kernel(shape):
    return len(shape) > 1 and math.prod(shape) >= LARGE


def _find(path):
    """Return the path of packaged weights by name, or the path itself."""
    return PACKAGED.get(os.fspath(path or DEFAULT), path)


def _read(path):
    """Return the header, the config and the tensors of a file, after checking them in this order."""
    if not os.path.exists(path):
        names = ", ".join(PACKAGED)
        raise WeightsError(
            f"{path}: no such file; expected weights (.safetensors), or one of {names}"
        )
    if not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "a special file"
        raise WeightsError(f"{path}: {kind}; expected weights (.safetensors)")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = _header(path, (file.metadata() or {}).get(KEY))
            try:
                config = configs.from_json(json.dumps(header["config"]))
            except ConfigError as error:
                raise WeightsError(f"{path}: its config: {error}") from None
            _check_shapes(path, file, config)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError, UnicodeError) as error:
        raise WeightsError(
            f"{path}: not a safetensors file ({_short(str(error).splitlines()[0])})"
        ) from None
    if header.pop("sha256") != _digest(header, tensors):
        raise WeightsError(f"{path}: its content differs from what was saved (SHA-256)")
    return header, config, tensors


def _header(path, text):
    """Return the metadata of a file, after checking that it has the form that `save_weights` writes."""
    if text is None:
        raise WeightsError(f"{path}: not written by colorjax (no metadata key {KEY!r})")
    try:
        header = parse_json(text)
    except ValueError as error:
        raise WeightsError(f"{path}: its metadata is not JSON ({_short(error)})") from None
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise WeightsError(f"{path}: format {_short(found)}; this colorjax reads format {FORMAT}")
    for name in ("config", "record"):
        if not isinstance(header.get(name), dict):
            raise WeightsError(f"{path}: its {name} is missing; expected a JSON object")
    if not isinstance(header.get("sha256"), str):
        raise WeightsError(
            f"{path}: no SHA-256 of its content; expected a file that colorjax saved"
        )
    if header["record"].get("baselines"):
        _check_baselines(path, header["record"]["baselines"])
    return header


def _check_shapes(path, file, config):
    """Check names, types and shapes of the tensors before allocating memory for them."""
    wanted = dict(leaves(parameter_shapes(config.network, config.size)))
    there, kinds = set(file.keys()), {}
    for name in there & {*wanted}:
        if _is_large_kernel(wanted[name]) and file.get_slice(name).get_dtype() == "I8":
            wanted[name + SCALE] = wanted[name][-1:]
            kinds |= {name: ("I8",), name + SCALE: ("F32",)}
    for name in sorted(there | {*wanted}):
        if name not in wanted or name not in there:
            where = "is missing" if name in wanted else "is not part of its config's network"
            raise WeightsError(f"{path}: {_short(name)} {where}")
        part = file.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        if shape != wanted[name]:
            found, asked = (" × ".join(map(str, s)) for s in (shape, wanted[name]))
            raise WeightsError(f"{path}: {name} is {found}; its config needs {asked}")
        if kind not in (allowed := kinds.get(name, DTYPES)):
            raise WeightsError(f"{path}: {name} is of type {kind}; expected {' or '.join(allowed)}")


def _check_baselines(path, baselines):
    """Check that baselines have the form of `baselines.fit_baselines`."""
    known = {"tint": r"\(3,\)", "level_tint": r"\(3, 4\)", "mean_photo": r"\(0,\)|\(\d+, \d+, 3\)"}
    for name, shape in known.items():
        try:
            found = np.array(baselines[name], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            found = np.array(np.nan)
        if not re.fullmatch(shape, str(found.shape)) or not np.isfinite(found).all():
            raise WeightsError(f"{path}: its record's baselines.{name} is not an array of numbers")


def _short(value):
    """Return a value from a file as one short line."""
    text = str(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:80])
    return text if len(text) < 80 else text[:77] + "…"


def _digest(header, tensors):
    """Return the SHA-256 of the content of a file, in hexadecimal digits."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(np.ascontiguousarray(tensor).data)
    return total.hexdigest()


def _check_finite(path, name, tensor):
    if not np.all(np.isfinite(tensor)):
        raise WeightsError(f"{path}: {name} holds values that are not finite")


def _unflatten(tensors):
    tree = {}
    for name, leaf in tensors.items():
        *branches, last = name.split(".")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        place[last] = leaf
    return tree
