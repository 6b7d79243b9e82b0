"""Weights files: safetensors, whose one metadata key holds the config and the record of the training."""

import hashlib
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from colorjax import config as configs
from colorjax.config import Config
from colorjax.errors import ConfigError, WeightsError
from colorjax.networks import init_params
from colorjax.photos import write_bytes

FORMAT = 1
_PRETRAINED = pathlib.Path(__file__).parent / "pretrained"
PACKAGED = {name: _PRETRAINED / f"{name}.safetensors" for name in ("photo", "photo-small")}
DEFAULT = "photo"
KEY = "colorjax"  # one key: safetensors writes several in random order


def save_weights(
    path: str | os.PathLike,
    params: PyTree,
    config: Config,
    *,
    record: dict[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write parameters and config as a safetensors file, whole or not at all; replaces an older file.

    Args:
        path: of the file; its folder exists.
        params: a nested dict of finite arrays.
        config: of the network.
        record: JSON-able facts about the training, such as the baselines.
        half: store float16, half the bytes; it is read as float32 again.

    Raises:
        WeightsError: a parameter is not finite.
        OutputError: the file cannot be written.

    Spec: FIL-050, FIL-051, FIL-053
    """
    dtype = np.float16 if half else np.float32
    tensors = {name: np.asarray(leaf, dtype) for name, leaf in _flatten(params)}
    for name, tensor in tensors.items():
        _check_finite(path, name, tensor)
    header = {
        "format": FORMAT,
        "config": json.loads(configs.to_json(config)),
        "record": record or {},
    }
    text = json.dumps(header | {"sha256": _digest(header, tensors)}, sort_keys=True)
    write_bytes(path, safetensors.numpy.save(tensors, {KEY: text}), overwrite=True)


def load_weights(path: str | os.PathLike | None = None) -> tuple[PyTree, Config]:
    """Read the parameters and the config of a weights file.

    Args:
        path: of the file; `photo` or `photo-small` for the packaged weights, None for the former.

    Raises:
        WeightsError: the file is absent, damaged, of another format, or does not fit its config.

    Spec: FIL-050, FIL-052, FIL-054, FIL-055
    """
    path = _find(path)
    header, tensors = _read(path)
    try:
        config = configs.from_json(json.dumps(header["config"]))
    except ConfigError as error:
        raise WeightsError(f"{path}: its config: {error}") from None
    shapes = _shapes(config)
    for name in sorted({*shapes, *tensors}):
        if name not in shapes or name not in tensors:
            where = "is missing" if name in shapes else "is no part of its config's network"
            raise WeightsError(f"{path}: {name} {where}")
        found, wanted = (" × ".join(map(str, s)) for s in (tensors[name].shape, shapes[name]))
        if found != wanted:
            raise WeightsError(f"{path}: {name} is {found}; its config asks for {wanted}")
        _check_finite(path, name, tensors[name])
    params = _unflatten({name: t.astype(np.float32) for name, t in tensors.items()})
    return jax.device_put(params), config  # once, not with each call


def fits(params: PyTree, config: Config) -> bool:
    """Tell whether parameters have the names and shapes of a config's network.

    Spec: CMD-012, FIL-052
    """
    return {name: np.shape(leaf) for name, leaf in _flatten(params)} == _shapes(config)


def load_record(path: str | os.PathLike | None = None) -> dict[str, Any]:
    """Read what `save_weights` recorded beside the parameters; paths as for `load_weights`.

    Raises:
        WeightsError: the file is absent, damaged or of another format.

    Spec: FIL-051, FIL-052, FIL-055
    """
    return _read(_find(path))[0]["record"]


def _find(path):
    """Return the path of packaged weights that are named, or the path itself."""
    return PACKAGED.get(os.fspath(path or DEFAULT), path)


def _shapes(config):
    """Return the shape of each parameter of a config's network, by its dotted name."""
    expected = jax.eval_shape(lambda: init_params(jax.random.key(0), config))
    return {name: leaf.shape for name, leaf in _flatten(expected)}


def _read(path):
    """Return the header and the tensors of a file."""
    if not os.path.exists(path):
        raise WeightsError(f"{path}: no such file; expected weights (.safetensors)")
    if os.path.isdir(path):
        raise WeightsError(f"{path}: a folder; expected weights (.safetensors)")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: not a safetensors file ({str(error).splitlines()[0]})"
        ) from None
    if text is None:
        raise WeightsError(f"{path}: not written by colorjax (no metadata key {KEY!r})")
    try:
        header = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path}: its metadata is not JSON ({error})") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise WeightsError(f"{path}: format {found}; this colorjax reads format {FORMAT}")
    if header.pop("sha256", None) not in (None, _digest(header, tensors)):
        raise WeightsError(f"{path}: its content is not what was saved: the SHA-256 differs")
    return {"config": {}, "record": {}} | header, tensors


def _digest(header, tensors):
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(np.ascontiguousarray(tensor).data)
    return total.hexdigest()


def _check_finite(path, name, tensor):
    if not np.all(np.isfinite(tensor)):
        raise WeightsError(f"{path}: {name} holds values that are not finite")


def _flatten(tree, prefix=""):
    """Yield (dotted name, leaf) of a nested dict."""
    for name, branch in tree.items():
        if isinstance(branch, dict):
            yield from _flatten(branch, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", branch


def _unflatten(leaves):
    tree = {}
    for name, leaf in leaves.items():
        *branches, last = name.split(".")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        place[last] = leaf
    return tree
