"""What Python programs use: `colorize` on all kinds of photos, the pure pipeline, wrong arguments."""

import functools
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from photo_network import photo_weights
from pictures import encoded, scene
from PIL import Image

import colorjax

PHOTO = scene(48, 64)
GRAY = np.asarray(jnp.rint(colorjax.rgb_to_gray(PHOTO))).astype(np.uint8)


def gray_of(rgb):
    return np.asarray(rgb).astype(float) @ [0.21, 0.72, 0.07]


@pytest.mark.req("API-020")
def test_path_and_pil_image(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(encoded(GRAY, "PNG"))
    expected = colorjax.colorize(GRAY)
    for place in (path, str(path)):
        found = colorjax.colorize(place)
        assert isinstance(found, Image.Image)
        assert (np.asarray(found) == expected).all()
    image = Image.fromarray(GRAY)
    image.info["dpi"] = (300, 300)
    found = colorjax.colorize(image)
    assert found.mode == "RGB"
    assert found.info["dpi"] == (300, 300)
    assert (np.asarray(found) == expected).all()


@pytest.mark.req("API-020")
@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "1", "CMYK", "RGB"])
def test_pil_modes(mode):
    image = Image.fromarray(GRAY).convert(mode)
    if "A" in mode:
        image.putalpha(Image.fromarray(255 - GRAY))
    found = colorjax.colorize(image)
    assert found.size == image.size
    assert found.mode == ("RGBA" if "A" in mode else "RGB")
    if "A" in mode:
        assert (np.asarray(found)[..., 3] == 255 - GRAY).all()
    assert np.abs(gray_of(np.asarray(found)[..., :3]) - gray_of(image.convert("RGB"))).max() <= 0.5


@pytest.mark.req("API-020")
def test_path_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(GRAY).save(stream, "PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(stream.getvalue())
    assert colorjax.colorize(tmp_path / "turned.png").size == GRAY.shape


@pytest.mark.req("API-020")
def test_arrays_of_all_kinds():
    expected = colorjax.colorize(GRAY)
    assert expected.dtype == np.uint8
    assert (colorjax.colorize(GRAY[..., None]) == expected).all()
    found = colorjax.colorize(jnp.asarray(GRAY))
    assert isinstance(found, jax.Array)
    assert (found == expected).all()
    deep = colorjax.colorize(GRAY.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - expected).max() <= 1
    for dtype in (np.float32, np.float64, np.float16):
        unit = colorjax.colorize((GRAY / 255).astype(dtype))
        assert unit.dtype == dtype
        assert np.abs(unit.astype(float) * 255 - expected).max() <= 1.1
    levels = GRAY.astype(np.float32)
    found = colorjax.colorize(levels, value_range=(0, 255))
    assert np.abs(gray_of(found) - GRAY).max() <= 255 / 65535
    signed = colorjax.colorize(levels / 127.5 - 1, value_range=(-1, 1))
    assert np.abs((signed + 1) * 127.5 - found).max() <= 0.02


@pytest.mark.req("API-020")
@pytest.mark.parametrize("shape", [(2, 48, 64), (2, 48, 64, 1), (2, 48, 64, 3)])
def test_batches(shape):
    batch = np.stack([PHOTO, PHOTO[::-1]])
    if shape[-1] != 3:
        batch = np.stack([GRAY, GRAY[::-1]]).reshape(shape)
    found = colorjax.colorize(batch)
    assert found.shape == (2, 48, 64, 3)
    for photo, alone in zip(batch, found, strict=True):
        assert (colorjax.colorize(photo) == alone).all()


@pytest.mark.req("API-021")
@pytest.mark.parametrize(
    "shape",
    [
        (96, 140),
        *(
            pytest.param(shape, marks=pytest.mark.slow)
            for shape in [(128, 128), (333, 200), (40, 30), (300, 1100)]
        ),
    ],
)
def test_pure_pipeline_equals_colorize(shape):
    params, config = photo_weights()
    gray = np.asarray(jnp.rint(colorjax.rgb_to_gray(scene(*shape)))).astype(np.uint8)
    pure = jax.jit(colorjax.colorize_gray, static_argnames="config")
    found = pure(params, gray.astype(np.float32), config=config)
    expected = colorjax.colorize(gray, (params, config)).astype(float)
    off = np.abs(np.rint(found) - expected)
    assert off.max() <= 2
    assert (off > 1).mean() <= 1e-3


@pytest.mark.slow
@pytest.mark.req("API-021")
def test_pure_pipeline_under_transformations():
    params, config = photo_weights()
    batch = np.stack([GRAY, GRAY[::-1]] * 2).astype(np.float32)
    pure = functools.partial(colorjax.colorize_gray, config=config)
    expected = jax.jit(pure)(params, batch)
    assert expected.shape == (4, 48, 64, 3)
    assert np.abs(gray_of(expected) - batch).max() < 1e-3
    mapped = jax.jit(jax.vmap(pure, in_axes=(None, 0)))(params, batch)
    assert np.abs(mapped - expected).max() < 1e-2
    gradient = jax.jit(jax.grad(lambda g: (pure(params, g) ** 2).mean()))(batch[0])
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0
    gradients = jax.jit(jax.grad(lambda p: (pure(p, batch[0]) ** 2).mean()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.slow
@pytest.mark.req("API-021")
def test_pure_pipeline_shards_its_batch():
    params, config = photo_weights()
    batch = np.stack([GRAY, GRAY[::-1]] * 2).astype(np.float32)
    pure = jax.jit(functools.partial(colorjax.colorize_gray, config=config))
    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), ("photos",), (jax.sharding.AxisType.Auto,))
    sharded = jax.device_put(
        batch, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("photos"))
    )
    found = pure(params, sharded)
    assert len(found.sharding.device_set) == len(devices)
    assert np.abs(found - pure(params, batch)).max() < 1e-2


@functools.cache
def wrong_arguments():
    """Return for each wrong call whether it raised an error of ours, and the text."""
    script = pathlib.Path(__file__).parent / "wrong_arguments.py"
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.check_output([sys.executable, str(script)], cwd=folder, text=True)
        assert not list(pathlib.Path(folder).iterdir())
    return json.loads(output)


@pytest.mark.req("API-022")
def test_wrong_arguments_get_one_line():
    found = wrong_arguments()
    assert len(found) > 30
    for name, (ours, text) in found.items():
        assert ours, f"{name}: {text}"
        assert "\n" not in text
        assert 10 < len(text) < 300, f"{name}: {text}"


@pytest.mark.req("API-022")
def test_tracers_are_told_the_pure_function():
    for name in ("tracer", "gradient"):
        assert "colorize_gray" in wrong_arguments()[name][1]
