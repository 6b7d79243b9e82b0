"""The five networks against the oracle, their start, range and purity."""

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from dense import PRESETS, SIZE, photos, small, to_oracle
from hypothesis import strategies as st

import colorjax
from colorjax import config as configs
from colorjax.training import losses
from spec import reference

forward = jax.jit(
    lambda *arrays, config: colorjax.forward(*arrays, config), static_argnames="config"
)
seeds = st.integers(0, 2**32 - 1)
presets = pytest.mark.parametrize("name", PRESETS)


@pytest.mark.req("NET-001")
@presets
def test_widths(name):
    config = colorjax.preset(name)
    depth = 2 if name.endswith("2") else 1
    shapes = jax.eval_shape(lambda key: colorjax.init_params(key, config), jax.random.key(0))
    widths = [256] + [3840] * depth + [768]
    assert {layer: list(arrays) for layer, arrays in shapes.items()} == {
        f"layer_{i}": ["kernel"] for i in range(depth + 1)
    }
    for i in range(depth + 1):
        assert shapes[f"layer_{i}"]["kernel"].shape == (widths[i], widths[i + 1])


@pytest.mark.req("NET-002")
@pytest.mark.parametrize("scale", [0.2, 0.005])
def test_uniform_start(scale):
    config = small("seed-relu2", size=8, copy_gray=False, initial_scale=scale)
    for layer in colorjax.init_params(jax.random.key(1), config).values():
        weights = np.asarray(layer["kernel"]).ravel()
        assert np.abs(weights).max() <= scale
        assert scipy.stats.kstest(weights[:20000], "uniform", (-scale, 2 * scale)).pvalue >= 0.001


@pytest.mark.req("NET-003", "NET-006")
@presets
@pytest.mark.parametrize("copy_gray", [True, False])
def test_forward_equals_oracle(name, copy_gray):
    config = small(name, copy_gray=copy_gray, initial_scale=0.2)
    params = colorjax.init_params(jax.random.key(2), config)
    gray, _ = photos(2)
    expected = reference.forward(to_oracle(params), gray, name.removeprefix("seed-"))
    assert np.ptp(expected) > 10
    np.testing.assert_allclose(forward(params, gray, config=config), expected, atol=2e-3)


@pytest.mark.req("NET-004")
@presets
@hypothesis.given(seed=seeds, scale=st.sampled_from([0.0, 0.2, 30.0, 1e15]))
def test_output_range(name, seed, scale):
    config = small(name)
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: colorjax.init_params(key, config), jax.random.key(0))
    params = jax.tree.map(
        lambda leaf: rng.uniform(-scale, scale, leaf.shape).astype(np.float32), shapes
    )
    gray = rng.choice([0, 1, 128, 255], (2, SIZE, SIZE)).astype(np.float32)
    rgb = np.asarray(forward(params, gray, config=config))
    assert np.all(np.isfinite(rgb))
    assert rgb.min() >= 0
    assert rgb.max() <= 255


@pytest.mark.req("NET-005")
@presets
def test_copied_gray_start(name):
    config = colorjax.preset(name)
    params = colorjax.init_params(jax.random.key(3), config)
    gray, _ = photos(3, count=20, size=config.size)
    distance = forward(params, gray, config=config) - gray[..., None]
    assert np.sqrt(np.mean(distance**2)) <= 25


CARRIED = {
    "relu": lambda v: v,
    "sigmoid": lambda v: 4 * np.tanh(v / 4),
    "tanh": lambda v: 2 * np.tanh(v / 2),
}
LEVELS = {
    "clip": lambda v: 255 * np.clip(v, 0, 1),
    "sigmoid": lambda v: 255 / (1 + np.exp(-3 * v)),
    "tanh": lambda v: 127.5 * (np.tanh(1.5 * v) + 1),
}


@pytest.mark.req("NET-005")
@pytest.mark.parametrize("hidden", CARRIED)
@pytest.mark.parametrize("output", LEVELS)
@pytest.mark.parametrize("depth", [1, 3])
def test_copied_gray_equals_its_formula(hidden, output, depth):
    config = small(
        "seed-relu",
        depth=depth,
        hidden_activation=hidden,
        output_activation=output,
        initial_scale=1e-9,
    )
    gray, _ = photos(5)
    value = gray.astype(float) / 255
    if output != "clip":
        value = 2 * value - 1
    for _ in range(depth):
        value = CARRIED[hidden](value)
    rgb = forward(colorjax.init_params(jax.random.key(0), config), gray, config=config)
    expected = np.repeat(LEVELS[output](value)[..., None], 3, -1)
    np.testing.assert_allclose(rgb, expected, atol=0.1)


@pytest.mark.req("NET-007")
@presets
@pytest.mark.parametrize("start", [{}, {"copy_gray": False, "initial_scale": 0.2}])
def test_every_output_unit_learns(name, start):
    config = small(name, **start)
    params = colorjax.init_params(jax.random.key(4), config)
    gray, rgb = photos(4, count=8)
    last = jax.grad(losses.objective)(params, jnp.asarray(gray), jnp.asarray(rgb), config)[
        f"layer_{len(params) - 1}"
    ]
    assert np.all(np.any(np.asarray(last["kernel"]) != 0, axis=0))


@pytest.mark.req("NET-008")
@pytest.mark.parametrize("hidden", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize(
    ("output", "depth", "multiple", "size"),
    [("clip", 1, 10, 1), ("sigmoid", 2, 1, 2), ("tanh", 4, 3, 3)],
)
def test_free_shape(hidden, output, depth, multiple, size):
    config = small(
        "seed-relu",
        size=size,
        depth=depth,
        hidden_activation=hidden,
        output_activation=output,
        hidden_multiple=multiple,
    )
    params = colorjax.init_params(jax.random.key(5), config)
    assert forward(params, jnp.ones((2, 5, size, size)), config=config).shape == (
        2,
        5,
        size,
        size,
        3,
    )


@pytest.mark.req("NET-008")
@pytest.mark.parametrize(("height", "width"), [(5, 4), (3, 4), (4, 5), (4, 3), (2, 8)])
def test_another_size_is_one_error(height, width):
    config = small("seed-relu")
    params = colorjax.init_params(jax.random.key(5), config)
    found = rf"^gray is {height} × {width}; this network takes 4 × 4$"
    with pytest.raises(colorjax.ColorjaxError, match=found):
        colorjax.forward(params, jnp.ones((2, height, width)), config)


@pytest.mark.req("NET-009")
def test_keys_decide_parameters():
    config = small("seed-tanh2")
    first, again, other = (colorjax.init_params(jax.random.key(k), config) for k in (6, 6, 7))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), first, other)))


@pytest.mark.req("NET-009")
@pytest.mark.parametrize("config", [small("seed-tanh2"), colorjax.preset("photo")])
def test_parameters_do_not_depend_on_x64(config):
    def init():
        return colorjax.init_params(jax.random.key(6), config)

    with jax.enable_x64(True):
        shapes = jax.tree.leaves(jax.eval_shape(init))
        assert {leaf.dtype.name for leaf in shapes} == {"float32"}
        dense = isinstance(config.network, configs.DenseConfig)
        wide = init() if dense else None
    if dense:
        jax.tree.map(np.testing.assert_array_equal, init(), wide)


@pytest.mark.req("NET-010")
@presets
@hypothesis.given(seed=seeds)
def test_forward_is_pure(name, seed):
    config = small(name)
    params = colorjax.init_params(jax.random.key(8), config)
    gray, _ = photos(seed)
    batch = np.asarray(colorjax.forward(params, jnp.asarray(gray), config))
    for result in (
        forward(params, gray, config=config),
        np.stack([forward(params, photo, config=config) for photo in gray]),
        jax.vmap(lambda photo: colorjax.forward(params, photo, config))(gray),
        np.asarray(forward(params, gray[::-1], config=config))[::-1],
    ):
        np.testing.assert_allclose(result, batch, atol=2e-3)


@pytest.mark.req("NET-010")
@presets
@pytest.mark.parametrize("level", [0, 128, 255])
def test_gradient_is_finite_on_the_closed_domain(name, level):
    config = small(name)
    params = colorjax.init_params(jax.random.key(9), config)
    gray = jnp.full((1, SIZE, SIZE), float(level))
    for rgb in (jnp.zeros((1, SIZE, SIZE, 3)), jnp.full((1, SIZE, SIZE, 3), 255.0)):
        gradients = jax.grad(colorjax.loss, argnums=(0, 1))(params, gray, rgb, config)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.req("NET-011")
@presets
def test_config_survives_json(name):
    config = small(name, depth=3)
    assert configs.from_json(configs.to_json(config)) == config
    assert hash(config) == hash(configs.from_json(configs.to_json(config)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.size = 3


@pytest.mark.req("NET-011")
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("size", 0, "size is 0; expected an integer of at least 1 and of at most 4096"),
        ("size", 2.5, "size is 2.5; expected an integer of at least 1 and of at most 4096"),
        ("size", True, "size is True; expected an integer of at least 1 and of at most 4096"),
        (
            "network.depth",
            0,
            "network.depth is 0; expected an integer of at least 1 and of at most 100",
        ),
        (
            "network.hidden_activation",
            "gelu",
            "network.hidden_activation is 'gelu'; expected one of relu, sigmoid, tanh",
        ),
        (
            "optimizer.learning_rate",
            float("nan"),
            "optimizer.learning_rate is nan; expected a finite number above 0",
        ),
        (
            "optimizer.learning_rate",
            -1.0,
            "optimizer.learning_rate is -1.0; expected a finite number above 0",
        ),
        (
            "optimizer.weight_decay",
            float("inf"),
            "optimizer.weight_decay is inf; expected a finite number of at least 0",
        ),
        ("color", 1, "color is not a field of the config"),
        ("network.layers", 1, "network.layers is not a field of the config"),
    ],
)
def test_config_refuses_with_one_line(path, value, message):
    with pytest.raises(colorjax.ColorjaxError) as caught:
        configs.replace(colorjax.preset("seed-relu"), {path: value})
    assert str(caught.value) == message


@pytest.mark.req("NET-011")
def test_unknown_preset_is_one_error():
    with pytest.raises(
        colorjax.ColorjaxError, match=r"^there is no preset 'photos'; expected one of seed-relu, "
    ):
        colorjax.preset("photos")
