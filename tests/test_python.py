"""What Python programs use: `colorize` on all kinds of photos, the pure pipeline, wrong arguments."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import encoded, scene
from PIL import Image

import colorjax
from colorjax.errors import ColorjaxError

PHOTO = scene(48, 64)
GRAY = np.asarray(jnp.rint(colorjax.rgb_to_gray(PHOTO))).astype(np.uint8)


@functools.cache
def packaged():
    return colorjax.load_weights()


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
@pytest.mark.parametrize("shape", [(128, 128), (96, 140), (333, 200), (40, 30), (300, 1100)])
def test_pure_pipeline_equals_colorize(shape):
    params, config = packaged()
    gray = np.asarray(jnp.rint(colorjax.rgb_to_gray(scene(*shape)))).astype(np.uint8)
    pure = jax.jit(colorjax.colorize_gray, static_argnames="config")
    found = pure(params, gray.astype(np.float32), config=config)
    expected = colorjax.colorize(gray, (params, config)).astype(float)
    off = np.abs(np.rint(found) - expected)
    assert off.max() <= 2
    assert (off > 1).mean() <= 1e-3


@pytest.mark.req("API-021")
def test_pure_pipeline_under_transformations():
    params, config = packaged()
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


@pytest.mark.req("API-021")
def test_pure_pipeline_shards_its_batch():
    params, config = packaged()
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


WRONG = {
    "shape of a photo": lambda: colorjax.colorize(np.zeros((4, 4, 2), np.uint8)),
    "five axes": lambda: colorjax.colorize(np.zeros((1, 1, 4, 4, 3), np.uint8)),
    "empty": lambda: colorjax.colorize(np.zeros((0, 4), np.uint8)),
    "integers": lambda: colorjax.colorize(np.zeros((4, 4), np.int64)),
    "strings": lambda: colorjax.colorize(np.array([["a"]])),
    "out of range": lambda: colorjax.colorize(np.full((4, 4), 200.0)),
    "NaN": lambda: colorjax.colorize(np.full((4, 4), np.nan)),
    "range": lambda: colorjax.colorize(np.zeros((4, 4)), value_range=(1, 1)),
    "range of integers": lambda: colorjax.colorize(np.zeros((4, 4), np.uint8), value_range=(0, 1)),
    "none": lambda: colorjax.colorize(None),
    "list": lambda: colorjax.colorize([[1, 2]]),
    "no file": lambda: colorjax.colorize("no-such-photo.jpg"),
    "deep PIL": lambda: colorjax.colorize(Image.new("F", (4, 4))),
    "tracer": lambda: jax.jit(colorjax.colorize)(GRAY),
    "weights": lambda: colorjax.colorize(GRAY, 5),
    "config as weights": lambda: colorjax.colorize(GRAY, colorjax.preset("photo")),
    "hints": lambda: colorjax.colorize(GRAY, hints=[(1, 2)]),
    "vividness": lambda: colorjax.colorize(GRAY, vividness="high"),
    "gray without channels": lambda: colorjax.rgb_to_gray(np.zeros((4, 4))),
    "text as levels": lambda: colorjax.rgb_to_gray("abc"),
    "key": lambda: colorjax.init_params(5, colorjax.preset("seed-relu")),
    "swapped init": lambda: colorjax.init_params(colorjax.preset("seed-relu"), jax.random.key(0)),
    "forward swapped": lambda: colorjax.forward(np.zeros((16, 16)), packaged()[0], packaged()[1]),
    "forward params": lambda: colorjax.forward(
        packaged()[0], np.zeros((16, 16)), colorjax.preset("seed-relu")
    ),
    "forward config": lambda: colorjax.forward(packaged()[0], np.zeros((32, 32)), "photo"),
    "forward text": lambda: colorjax.forward(packaged()[0], "gray", packaged()[1]),
    "forward axes": lambda: colorjax.forward(packaged()[0], np.zeros(16), packaged()[1]),
    "pure swapped": lambda: colorjax.colorize_gray(np.zeros((16, 16)), *packaged()),
    "pure empty": lambda: colorjax.colorize_gray(packaged()[0], np.zeros((0, 16)), packaged()[1]),
    "loss shapes": lambda: colorjax.loss(
        packaged()[0], np.zeros((32, 32)), np.zeros((32, 31, 3)), packaged()[1]
    ),
    "loss swapped": lambda: colorjax.loss(
        packaged()[0], np.zeros((32, 32, 3)), np.zeros((32, 32)), packaged()[1]
    ),
    "state": lambda: colorjax.init_state(jax.random.key(0), None),
    "step state": lambda: colorjax.train_step(
        np.zeros((1, 16, 16, 3)), np.zeros((1, 16, 16, 3)), colorjax.preset("seed-relu")
    ),
    "step batch": lambda: colorjax.train_step(
        colorjax.init_state(jax.random.key(0), colorjax.preset("seed-relu")),
        np.zeros((1, 16, 16)),
        colorjax.preset("seed-relu"),
    ),
    "optimizer": lambda: colorjax.make_optimizer("adam"),
    "preset": lambda: colorjax.preset(3),
    "load": lambda: colorjax.load_weights(3),
    "save params": lambda: colorjax.save_weights("w.safetensors", 5, colorjax.preset("seed-relu")),
    "save config": lambda: colorjax.save_weights("w.safetensors", packaged()[0], "photo"),
}


@pytest.mark.req("API-022")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_get_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ColorjaxError) as caught:
        WRONG[name]()
    assert "\n" not in str(caught.value)
    assert 10 < len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.req("API-022")
def test_tracers_are_told_the_pure_function():
    with pytest.raises(ColorjaxError, match="colorize_gray"):
        jax.grad(lambda x: colorjax.colorize(x).sum())(GRAY / 255)
