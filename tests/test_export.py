"""Networks as ONNX and StableHLO, run by others."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commanding import files

import colorjax
from colorjax import cli, errors, export
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


@pytest.mark.req("EXP-001")
def test_a_small_network_as_onnx(network, tmp_path):
    pytest.importorskip("jax2onnx", reason="the extra `export` is not installed")
    (path,) = export.export(tmp_path, network)
    assert path.name == "colorjax-4x4.onnx"
    ours = np.asarray(colorjax.forward(network[0], gray((4, 4)), network[1]))
    assert np.abs(by_onnx(path, gray((4, 4))) - ours).max() <= 0.01


@pytest.mark.req("EXP-002")
def test_a_small_network_as_stablehlo(tiny_weights, network, tmp_path):
    pytest.importorskip("flatbuffers", reason="the extra `export` is not installed")
    assert run("--format", "stablehlo", "--weights", tiny_weights, "--out", tmp_path) == 0
    assert files(tmp_path) == {"colorjax-4x4.stablehlo"}
    ours = np.asarray(colorjax.forward(network[0], gray((4, 4)), network[1]))
    theirs = by_stablehlo(tmp_path / "colorjax-4x4.stablehlo", gray((4, 4)))
    assert np.abs(theirs - ours).max() <= 0.01


@pytest.mark.slow
@pytest.mark.req("EXP-001", "EXP-002")
@pytest.mark.parametrize("format", export.FORMATS)
def test_the_packaged_network(tmp_path, format, record_property):
    pytest.importorskip("jax2onnx", reason="the extra `export` is not installed")
    weights = params, config = load_weights()
    largest = 0.0
    found = export.shapes(config)
    assert len(found) == 7
    for shape, path in zip(found, export.export(tmp_path, weights, format=format), strict=True):
        ours = np.asarray(jax.jit(colorjax.forward, static_argnums=2)(params, gray(shape), config))
        theirs = {"onnx": by_onnx, "stablehlo": by_stablehlo}[format](path, gray(shape))
        assert theirs.shape == (*shape, 3)
        largest = max(largest, float(np.abs(theirs - ours).max()))
    record_property("largest difference in levels", largest)
    print(f"{format}: largest difference {largest:.2g} levels")
    assert largest <= 0.01


@pytest.mark.req("EXP-003")
def test_existing_files_are_kept(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "to_onnx", lambda function, shape: b"new")
    (tmp_path / "colorjax-4x4.onnx").write_bytes(b"old")
    (path,) = export.export(tmp_path, network)
    assert path.read_bytes() == b"old"
    (path,) = export.export(tmp_path, network, overwrite=True)
    assert path.read_bytes() == b"new"
    with pytest.raises(errors.OutputError, match="colorjax-4x4"):
        list(export.export(path, network))


@pytest.mark.req("EXP-003")
def test_without_the_extra_one_line_says_what_to_install(
    tiny_weights, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    assert run("--weights", tiny_weights, "--out", tmp_path) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert files(tmp_path) == set()
