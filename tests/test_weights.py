"""Weights files: safetensors with one metadata key."""

import hashlib
import json
import math
import re
import struct
import tracemalloc

import jax
import numpy as np
import photo_network
import pytest
import safetensors.numpy
from dense import PRESETS, small

import colorjax
from colorjax import weights
from colorjax.jsontext import leaves


def saved(tmp_path, name="seed-relu", **options):
    config = small(name)
    params = colorjax.init_params(jax.random.key(0), config)
    path = tmp_path / "w.safetensors"
    colorjax.save_weights(path, params, config, **options)
    return path, params, config


@pytest.mark.req("FIL-050")
@pytest.mark.parametrize("name", PRESETS)
def test_round_trip(tmp_path, name):
    path, params, config = saved(tmp_path, name)
    loaded, loaded_config = colorjax.load_weights(path)
    assert loaded_config == config
    assert jax.tree.structure(loaded) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


@pytest.mark.req("FIL-051")
def test_same_content_same_bytes(tmp_path):
    first = saved(tmp_path)[0].read_bytes()
    assert saved(tmp_path)[0].read_bytes() == first
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert list(file.metadata()) == ["colorjax"]
        text = file.metadata()["colorjax"]
    assert json.dumps(json.loads(text), sort_keys=True) == text
    assert str(tmp_path) not in text


@pytest.mark.req("FIL-058")
@pytest.mark.parametrize("bits", [8, 16])
def test_small_files(tmp_path, bits):
    conf = photo_network.small(**{"network.bottom": 512})
    params = jax.tree.map(
        lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape).astype("f"),
        colorjax.init_params(jax.random.key(0), conf),
    )
    params["bottom"]["conv"]["kernel"][..., 3] = 0  # a channel that is off
    path = tmp_path / "w.safetensors"
    colorjax.save_weights(path, params, conf, bits=bits)
    loaded, _ = colorjax.load_weights(path)
    for (name, saved_leaf), (_, leaf) in zip(leaves(params), leaves(loaded), strict=True):
        assert leaf.dtype == np.float32
        coarse = 2.0**-11 * np.abs(saved_leaf) + 1e-7
        if bits == 8 and name in ("bottom.conv.kernel", "bottom.context.kernel"):  # 40 × 512
            assert leaf.size >= 2**14
            coarse = np.abs(saved_leaf).max(tuple(range(leaf.ndim - 1))) / 127 / 2 + 1e-6
        assert np.all(np.abs(np.asarray(leaf) - saved_leaf) <= coarse), name
    stored = safetensors.numpy.load_file(path)
    eighths = {name for name, tensor in stored.items() if tensor.dtype == np.int8}
    large = {"bottom.conv.kernel", "bottom.context.kernel"}
    assert eighths == (large if bits == 8 else set())
    assert {stored[f"{name}:scale"].dtype for name in eighths} <= {np.dtype("f")}
    rest = [name for name in stored if name not in eighths and ":" not in name]
    assert {stored[name].dtype for name in rest} == {np.dtype(np.float16)}


@pytest.mark.req("FIL-058")
@pytest.mark.parametrize("fault", ["missing", "shape", "type", "infinite", "of float16", "alone"])
def test_wrong_scales_are_one_line(tmp_path, fault):
    path = tmp_path / "w.safetensors"
    conf = photo_network.small(**{"network.bottom": 512})
    params = colorjax.init_params(jax.random.key(0), conf)
    colorjax.save_weights(path, params, conf, bits=8)
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["colorjax"])
    kernel = "bottom.conv.kernel"
    name = f"{kernel}:scale"
    match fault:
        case "missing":
            del tensors[name]
        case "shape":
            tensors[name] = tensors[name][:-1]
        case "type":
            tensors[name] = tensors[name].astype(np.float16)
        case "infinite":
            tensors[name] = np.full_like(tensors[name], np.inf)
        case "of float16":
            tensors[kernel] = tensors[kernel].astype(np.float16)
        case "alone":
            tensors["bottom.conv.bias:scale"] = np.ones(1, np.float32)
    sign(header, tensors)
    safetensors.numpy.save_file(tensors, path, {"colorjax": json.dumps(header)})
    named = kernel if fault == "infinite" else "scale"
    with pytest.raises(colorjax.ColorjaxError, match=named) as caught:
        colorjax.load_weights(path)
    assert str(caught.value).isprintable()


@pytest.mark.req("FIL-051")
def test_record_is_kept(tmp_path):
    record = {"losses": {"tint": [1.5, -2.0]}, "photos": 3}
    path, _, _ = saved(tmp_path, record=record)
    assert weights.load_record(path) == record


def sign(header, tensors):
    """Set the SHA-256 that spec/files.md asks for."""
    header.pop("sha256", None)
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode() + tensor.tobytes())
    header["sha256"] = total.hexdigest()


def corrupt(kind, path):
    params, config = colorjax.load_weights(path)
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["colorjax"])
    match kind:
        case "absent":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(path.read_bytes()[:-100])
        case "pickle":
            path.write_bytes(b"\x80\x04\x95" + bytes(200))
        case "foreign":
            safetensors.numpy.save_file(tensors, path)
        case "newer":
            header["format"] = 99
        case "config":
            header["config"]["size"] = -1
        case "field":
            header["config"]["color"] = 1
        case "shape":
            header["config"]["size"] = 5
        case "name":
            tensors["layer_7.kernel"] = tensors.pop("layer_0.kernel")
        case "nan":
            tensors["layer_0.kernel"] = np.full_like(tensors["layer_0.kernel"], np.nan)
        case "garbled":
            header = "{"
    if kind in {"newer", "config", "field", "shape", "name", "nan", "garbled"}:
        if isinstance(header, dict):
            sign(header, tensors)
        text = header if isinstance(header, str) else json.dumps(header)
        safetensors.numpy.save_file(tensors, path, {"colorjax": text})
    del params, config


@pytest.mark.req("FIL-052")
@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("absent", "no such file"),
        ("folder", "a folder"),
        ("empty", "not a safetensors file"),
        ("truncated", "not a safetensors file"),
        ("pickle", "not a safetensors file"),
        ("foreign", "not written by colorjax"),
        ("newer", "format 99; this colorjax reads format 1"),
        ("config", "size is -1"),
        ("field", "color is not a field"),
        ("shape", "layer_0.kernel is 16 × 240; its config needs 25 × 375"),
        ("name", "layer_0.kernel is missing"),
        ("nan", "layer_0.kernel holds values that are not finite"),
        ("garbled", "not JSON"),
    ],
)
def test_bad_weights_are_one_line(tmp_path, kind, found):
    path, _, _ = saved(tmp_path)
    corrupt(kind, path)
    with pytest.raises(colorjax.ColorjaxError) as caught:
        colorjax.load_weights(path)
    assert "w.safetensors" in str(caught.value)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.req("FIL-053")
def test_nothing_half_written(tmp_path):
    path, params, config = saved(tmp_path)
    before = path.read_bytes()
    bad = jax.tree.map(lambda leaf: leaf * np.nan, params)
    with pytest.raises(colorjax.ColorjaxError, match="not finite"):
        colorjax.save_weights(path, bad, config)
    with pytest.raises(colorjax.ColorjaxError, match="absent"):
        colorjax.save_weights(tmp_path / "absent" / "w.safetensors", params, config)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.req("FIL-054")
@pytest.mark.parametrize("what", ["tensor", "record", "config"])
def test_other_content_is_refused(tmp_path, what):
    path, _, _ = saved(tmp_path, record={"photos": 3})
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["colorjax"])
    assert re.fullmatch("[0-9a-f]{64}", header["sha256"])
    match what:
        case "tensor":
            tensors["layer_0.kernel"][0, 0] += 1
        case "record":
            header["record"]["photos"] = 4
        case "config":
            header["config"]["steps"] += 1
    safetensors.numpy.save_file(tensors, path, {"colorjax": json.dumps(header)})
    with pytest.raises(
        colorjax.ColorjaxError, match="its content differs from what was saved"
    ) as caught:
        colorjax.load_weights(path)
    assert "\n" not in str(caught.value)
    sign(header, tensors)
    safetensors.numpy.save_file(tensors, path, {"colorjax": json.dumps(header)})
    colorjax.load_weights(path)
    del header["sha256"]
    safetensors.numpy.save_file(tensors, path, {"colorjax": json.dumps(header)})
    with pytest.raises(colorjax.ColorjaxError, match="no SHA-256"):
        colorjax.load_weights(path)


HOSTILE = {
    "deep": ("{text}", "nested too deeply"),
    "digits": ("{digits}", "a number of 5000 digits"),
    "list": ("[]", "format None"),
    "format": ({"format": [1] * 1000}, "format [1, 1"),
    "no config": ({"config": None}, "its config is missing"),
    "config": ({"config": {"network": 7, "size": 4}}, "network is 7"),
    "record": ({"record": [1]}, "its record is missing"),
    "baselines": ({"record": {"baselines": {"tint": "x"}}}, "baselines.tint is not an array"),
    "kind": ({"config": {"network": {"kind": ["PhotoConfig"]}}}, "network.kind is ['PhotoConfig']"),
    "levels": (
        {"config": {"network": {"kind": "PhotoConfig", "bottom": 10**9}}},
        "bottom is 1000000000",
    ),
    "digits of a field": ({"config": {"size": 10**290}}, "size is 1000"),
    "infinite": ({"config": {"vividness": float("inf")}}, "vividness is inf"),
    "list for a word": ({"config": {"framing": ["crop"]}}, "framing is ['crop']"),
    "bool for a number": ({"config": {"size": True}}, "size is True"),
    "line break": ({"config": {"a\nb" * 90: 1}}, "is not a field"),
}


@pytest.mark.req("FIL-056")
@pytest.mark.parametrize("name", ["knee", "vividness", "network.ring_scale", "network.ring_growth"])
@pytest.mark.parametrize("value", [1e300, 1e30, 10**20])
def test_colors_beyond_any_level_are_refused(tmp_path, name, value):
    path, _, _ = saved(tmp_path)
    tensors = safetensors.numpy.load_file(path)
    config = {name: value}
    if name.startswith("network."):
        config = {"network": {"kind": "PhotoConfig", name.removeprefix("network."): value}}
    header = {"format": 1, "config": config, "record": {}}
    sign(header, tensors)
    safetensors.numpy.save_file(tensors, path, {"colorjax": json.dumps(header)})
    with pytest.raises(colorjax.ColorjaxError, match=f"{name} is .*of at most") as caught:
        colorjax.load_weights(path)
    assert str(caught.value).isprintable()


@pytest.mark.req("FIL-056")
@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("read", [colorjax.load_weights, weights.load_record])
def test_hostile_metadata_is_one_line(tmp_path, how, read):
    path, _, _ = saved(tmp_path)
    tensors = safetensors.numpy.load_file(path)
    changes, found = HOSTILE[how]
    if isinstance(changes, str):
        text = changes.format(text='{"a":' * 100_000, digits='{"format": ' + "9" * 5000 + "}")
    else:
        header = {"format": 1, "config": {}, "record": {}} | changes
        sign(header, tensors)
        text = json.dumps(header)
    safetensors.numpy.save_file(tensors, path, {"colorjax": text})
    with pytest.raises(colorjax.ColorjaxError) as caught:
        read(path)
    assert found in str(caught.value)
    assert "w.safetensors" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert caught.value.exit_code == 2


@pytest.mark.req("FIL-057")
def test_a_huge_network_takes_no_memory(tmp_path):
    path, params, _ = saved(tmp_path)
    header = json.loads(safetensors.safe_open(path, "numpy").metadata()["colorjax"])
    header["config"] |= {"size": 1024}
    header["config"]["network"] |= {"depth": 100}
    arrays = {name: np.asarray(leaf) for name, leaf in leaves(params)}
    safetensors.numpy.save_file(arrays, path, {"colorjax": json.dumps(header)})
    tracemalloc.start()
    with pytest.raises(colorjax.ColorjaxError, match="its config needs 1048576 × 15728640"):
        colorjax.load_weights(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.req("FIL-057")
@pytest.mark.parametrize("what", ["BF16", "F64", "shape"])
def test_shapes_come_before_memory(tmp_path, what):
    path, _, _ = saved(tmp_path)
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    name = "layer_0.kernel"
    count = math.prod(header[name]["shape"])
    other = {n: each for n, each in header.items() if n not in (name, "__metadata__")}
    room = 1 << 32 if what == "shape" else {"BF16": 2, "F64": 8}[what] * count
    header = {"__metadata__": header["__metadata__"]} | other
    shape = [1 << 15, 1 << 15] if what == "shape" else [16, 240]
    kind = "F32" if what == "shape" else what
    # the tensor goes to the end: a hole of 4 GB takes no room on the disk
    begin = 0
    for each in sorted(other.values(), key=lambda each: each["data_offsets"]):
        length = each["data_offsets"][1] - each["data_offsets"][0]
        each["data_offsets"] = [begin, begin + length]
        begin += length
    header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, begin + room]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + begin + room)
    with pytest.raises(colorjax.ColorjaxError) as caught:
        colorjax.load_weights(path)
    assert ("its config needs 16 × 240" if what == "shape" else f"of type {what}") in str(
        caught.value
    )


@pytest.mark.req("FIL-054")
def test_sum_by_hand(tmp_path):
    path, _, _ = saved(tmp_path)
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["colorjax"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    found = header.pop("sha256")
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(tensor.astype("<f4").tobytes())
    assert total.hexdigest() == found


@pytest.mark.req("FIL-055")
def test_packaged_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photo", "photo-small", "photo-free"):
        _, config = colorjax.load_weights(name)
        assert config.network == colorjax.preset("photo").network
        assert weights.load_record(name)["license"]
    (tmp_path / "photo").write_bytes(b"mine")
    colorjax.load_weights("photo")
    with pytest.raises(colorjax.ColorjaxError, match="not a safetensors file"):
        colorjax.load_weights("./photo")
