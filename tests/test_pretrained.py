"""The weights in the box: there, sound, and as good as they are said to be."""

import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from commanding import TINY_RUN

import colorjax
from colorjax import cli, weights
from colorjax.data import datasets
from colorjax.evaluation import evaluate

GAIN, COLORFULNESS = 3.05, 20.7  # on scikit-image's color photos; spec/quality.md
SMALLER = 0.35  # dB that photo-small may lose on them
FREE = 2.2  # dB that photo-free gains on them, at least


@pytest.mark.slow
@pytest.mark.req("QLT-004")
def test_the_small_network_is_small_and_close():
    assert weights.PACKAGED["photo-small"].stat().st_size <= 8e6
    small = colorjax.load_weights("photo-small")
    wanted = colorjax.preset("photo-small")
    assert small[1].network == wanted.network
    assert (small[1].working_size, small[1].softness) == (wanted.working_size, wanted.softness)
    found = datasets.load_photos(["samples"], 256, framing="crop", method="bicubic")
    summaries = [
        evaluate.evaluate(found.rgb, found.names, *one, {})["summary"]["weights"]
        for one in (colorjax.load_weights(), small)
    ]
    assert summaries[1]["psnr"] >= summaries[0]["psnr"] - SMALLER


@pytest.mark.slow
@pytest.mark.req("QLT-006")
def test_free_weights_learned_from_free_photos_alone(tmp_path):
    path = weights.PACKAGED["photo-free"]
    assert path.stat().st_size <= 8e6
    record = weights.load_record("photo-free")
    assert set(record["collections"]) == {"clothing", "TF flowers", "Grocery Store"}
    assert record["license"] == "Apache-2.0"
    found = datasets.load_photos(["samples"], 256, framing="crop", method="bicubic")
    free = colorjax.load_weights("photo-free")
    summary = evaluate.evaluate(found.rgb, found.names, *free, {})["summary"]
    assert summary["weights"]["psnr"] >= summary["gray"]["psnr"] + FREE
    # the sentence that the license is for others alone stands in the file that binds those
    assert "photo-free" in (path.parent / "LICENSE-WEIGHTS").read_text()


@pytest.mark.req("QLT-001")
def test_weights_are_small_and_say_what_they_are():
    path = weights.PACKAGED["photo"]
    assert path.stat().st_size <= 25e6
    params, config = colorjax.load_weights()
    assert config.network == colorjax.preset("photo").network
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(params))
    record = weights.load_record()
    assert {"baselines", "photos", "step", "collections", "license"} <= set(record)
    assert "non-commercial" in record["license"]
    for name in ("MODEL_CARD.md", "LICENSE-WEIGHTS"):
        assert "non-commercial" in (path.parent / name).read_text()


@pytest.mark.req("QLT-002")
def test_quality_is_held():
    found = datasets.load_photos(["samples"], 256, framing="crop", method="bicubic")
    params, config = colorjax.load_weights()
    baselines = weights.load_record()["baselines"]
    summary = evaluate.evaluate(found.rgb, found.names, params, config, baselines)["summary"]
    ours, gray = summary["weights"], summary["gray"]
    assert ours["psnr"] - gray["psnr"] == pytest.approx(GAIN, abs=0.15)
    assert ours["colorfulness"] == pytest.approx(COLORFULNESS, abs=1.5)


@pytest.mark.slow
@pytest.mark.req("EVL-026")
def test_true_hints_help(tmp_path):
    report = tmp_path / "report.json"
    gains = []
    for count in ("0", "10", "10"):
        assert (
            cli.main(
                ["evaluate", "samples", "--hints", count, "--json", str(report), "--overwrite"]
            )
            == 0
        )
        gains.append(json.loads(report.read_text())["summary"]["weights"]["psnr"])
    assert gains[1] == gains[2] >= gains[0] + 1.5


@pytest.mark.req("QLT-003")
def test_colorize_needs_no_weights_named(tmp_path, capsys):
    assert cli.main(["colorize", "samples", "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 6
    report = tmp_path / "report.json"
    assert cli.main(["evaluate", "samples", "--json", str(report), "--overwrite"]) == 0
    assert json.loads(report.read_text())["size"] == 256


def trained(run, steps):
    """Train a tiny dense network into a folder and return that."""
    tiny = [*TINY_RUN, "--steps", steps, "--quiet"]
    assert cli.main(["train", "samples", "--out", str(run), *tiny]) == 0
    return run


def package(runs, out):
    """Run `scripts/package` and return the file that it made."""
    script = pathlib.Path(__file__).parent.parent / "scripts" / "package"
    subprocess.run([sys.executable, script, *runs, "photo", "--out", out], check=True)
    return out


@pytest.mark.slow
@pytest.mark.req("QLT-005")
def test_a_run_is_packaged(tmp_path):
    run = trained(tmp_path / "run", "4")
    out = package([run], tmp_path / "packaged.safetensors")
    assert out.stat().st_size < (run / "weights.safetensors").stat().st_size
    packaged, before = weights.load_record(out), weights.load_record()
    reached = json.loads((run / "evaluation.json").read_text())["summary"]["weights"]
    assert packaged["validation"] == reached
    assert packaged["license"] == before["license"]
    assert packaged["step"] == weights.load_record(run / "weights.safetensors")["step"]
    np.testing.assert_allclose(
        colorjax.load_weights(out)[0]["layer_0"]["kernel"],
        colorjax.load_weights(run / "weights.safetensors")[0]["layer_0"]["kernel"],
        atol=1e-3,
    )


@pytest.mark.slow
@pytest.mark.req("QLT-005")
def test_runs_are_averaged(tmp_path):
    runs = [trained(tmp_path / steps, steps) for steps in ("4", "8")]
    out = package(runs, tmp_path / "packaged.safetensors")
    one, two, mean = (
        np.asarray(colorjax.load_weights(path)[0]["layer_0"]["kernel"], np.float64)
        for path in (*(run / "weights.safetensors" for run in runs), out)
    )
    np.testing.assert_allclose(mean, (one + two) / 2, atol=1e-3)
    assert (
        weights.load_record(out)["step"]
        == weights.load_record(runs[1] / "weights.safetensors")["step"]
    )
