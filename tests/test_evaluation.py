"""Baselines and evaluation."""

import jax
import numpy as np
import pytest
from dense import small

import colorjax
from colorjax.evaluation import baselines, evaluate

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
GRAY = RGB @ np.array([0.21, 0.72, 0.07])


@pytest.mark.req("EVL-020")
def test_baselines_equal_numpy():
    fitted = baselines.fit_baselines(RGB)
    new = np.random.default_rng(1).uniform(0, 255, (4, 4))
    colored = baselines.apply_baselines(fitted, new)
    mean_tint = (RGB.reshape(-1, 3) - GRAY.reshape(-1, 1)).mean(0)
    cubics = [np.polynomial.Polynomial.fit(GRAY.ravel(), RGB[..., c].ravel(), 3) for c in range(3)]
    expected = {
        "gray": new[..., None].repeat(3, -1),
        "tint": new[..., None] + mean_tint,
        "level tint": np.stack([cubic(new) for cubic in cubics], -1),
        "mean photo": RGB.mean(0),
    }
    assert list(colored) == list(expected)
    for name, levels in expected.items():
        assert colored[name].dtype == np.uint8
        assert np.abs(colored[name] - np.clip(levels, 0, 255)).max() <= 1
    assert list(baselines.apply_baselines(fitted, np.zeros((5, 5)))) == [
        "gray",
        "tint",
        "level tint",
    ]
    assert list(baselines.apply_baselines({}, new)) == ["gray"]


@pytest.mark.req("EVL-021", "EVL-025")
@pytest.mark.parametrize("size", [4, 9])
def test_evaluation_measures_all_methods(size):
    config = small("seed-relu", initial_scale=0.0)
    params = colorjax.init_params(jax.random.key(0), config)
    rgb = np.random.default_rng(2).integers(0, 256, (3, size, size, 3), np.uint8)
    result = evaluate.evaluate(rgb, ["a", "b", "c"], params, config, baselines.fit_baselines(RGB))
    own = ["weights", "gray", "tint", "level tint", "mean photo"]
    other = ["weights", "upper bound", "gray", "tint", "level tint"]
    assert list(result["summary"]) == (own if size == 4 else other)
    assert [photo["name"] for photo in result["photos"]] == ["a", "b", "c"]
    gray = np.rint(rgb @ np.array([0.21, 0.72, 0.07]))
    loss = np.mean(np.sum((gray[..., None] - rgb) ** 2, axis=(1, 2, 3)))
    assert result["summary"]["gray"]["loss"] == pytest.approx(loss, rel=1e-6)
    # without the uniform weights the copied-gray start is the copied gray
    assert result["summary"]["weights"]["psnr"] == pytest.approx(
        result["summary"]["gray"]["psnr"], abs=0.1
    )
