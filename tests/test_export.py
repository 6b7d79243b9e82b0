"""Networks as ONNX and StableHLO, run by others."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commanding import files

import colorjax
from colorjax import cli, errors, export
from colorjax import config as configs
from colorjax.weights import load_weights


def run(*arguments):
    return cli.main(["export", *map(str, arguments)])


def gray(shape):
    return jnp.asarray(np.random.default_rng(0).uniform(0, 255, shape), jnp.float32)


def by_onnx(path, levels):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path)
    (name,) = [each.name for each in session.get_inputs()]
    return session.run(None, {name: np.asarray(levels)})[0]


def by_stablehlo(path, levels):
    from jax import export as jax_export

    return np.asarray(jax_export.deserialize(bytearray(path.read_bytes())).call(levels))


RUN = {"onnx": by_onnx, "stablehlo": by_stablehlo}
SMALL = {
    "network.stages": 3,
    "network.middle": 8,
    "network.fine": 8,
    "network.head_width": 8,
    "working_size": 32,
}


@pytest.mark.req("EXP-001")
def test_a_small_network_as_onnx(network, tmp_path):
    pytest.importorskip("jax2onnx", reason="the extra `export` is not installed")
    path, text = export.export_network(tmp_path, network)
    assert [path.name, text.name] == ["colorjax.onnx", "colorjax.txt"]
    ours = np.asarray(colorjax.forward(network[0], gray((3, 4, 4)), network[1]))
    assert np.abs(by_onnx(path, gray((3, 4, 4))) - ours).max() <= 0.01


@pytest.mark.req("EXP-002")
def test_a_small_network_as_stablehlo(tiny_weights, network, tmp_path):
    pytest.importorskip("flatbuffers", reason="the extra `export` is not installed")
    assert run("--format", "stablehlo", "--weights", tiny_weights, "--out", tmp_path) == 0
    assert files(tmp_path) == {"colorjax.stablehlo", "colorjax.txt"}
    ours = np.asarray(colorjax.forward(network[0], gray((3, 4, 4)), network[1]))
    theirs = by_stablehlo(tmp_path / "colorjax.stablehlo", gray((3, 4, 4)))
    assert np.abs(theirs - ours).max() <= 0.01


def larger_network():
    config = configs.replace(colorjax.preset("photo"), SMALL)
    return colorjax.init_params(jax.random.key(0), config), config


@pytest.mark.req("EXP-004")
@pytest.mark.parametrize("format", export.FORMATS)
def test_a_small_photo_network_takes_every_size(tmp_path, format):
    pytest.importorskip("jax2onnx", reason="the extra `export` is not installed")
    params, config = larger_network()
    path, text = export.export_network(tmp_path, (params, config), format=format)
    for shape in ((1, 32, 32), (2, 64, 96), (1, 32, 128)):
        ours = np.asarray(colorjax.forward(params, gray(shape), config))
        theirs = RUN[format](path, gray(shape))
        assert np.abs(theirs - ours).max() <= 0.01
    said = text.read_text()
    assert "multiples of 32" in said
    assert all(f"{h} x {w}" in said for h, w in export.shapes(config))


@pytest.mark.slow
@pytest.mark.req("EXP-001", "EXP-002", "EXP-004")
@pytest.mark.parametrize("format", export.FORMATS)
def test_the_packaged_network(tmp_path, format):
    pytest.importorskip("jax2onnx", reason="the extra `export` is not installed")
    weights = params, config = load_weights()
    path, _ = export.export_network(tmp_path, weights, format=format)
    found = export.shapes(config)
    assert len(found) == 17
    largest = 0.0
    for shape in [(1, *each) for each in found] + [(2, *found[0])]:
        ours = np.asarray(jax.jit(colorjax.forward, static_argnums=2)(params, gray(shape), config))
        theirs = RUN[format](path, gray(shape))
        assert theirs.shape == (*shape, 3)
        largest = max(largest, float(np.abs(theirs - ours).max()))
    print(f"{format}: largest difference {largest:.2g} levels")
    assert largest <= 0.01


@pytest.mark.req("EXP-003")
def test_existing_files_are_kept(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "to_onnx", lambda params, config: b"new")
    (tmp_path / "colorjax.onnx").write_bytes(b"old")
    path, text = export.export_network(tmp_path, network)
    assert path.read_bytes() == b"old"
    assert "4 x 4" in text.read_text()
    path, _ = export.export_network(tmp_path, network, overwrite=True)
    assert path.read_bytes() == b"new"
    with pytest.raises(errors.OutputError, match=r"colorjax\.onnx"):
        list(export.export_network(path, network))


@pytest.mark.req("EXP-003")
def test_without_the_extra_one_line_says_what_to_install(
    tiny_weights, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    assert run("--weights", tiny_weights, "--out", tmp_path) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert files(tmp_path) == set()
