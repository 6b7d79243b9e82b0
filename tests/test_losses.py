"""The seed's loss, its gradient and the objectives, against the oracle and central differences."""

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense import PRESETS, SIZE, from_oracle, photos, small, to_oracle
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import colorjax
from colorjax import losses
from spec import reference

presets = pytest.mark.parametrize("name", PRESETS)
loss = jax.jit(lambda *arrays, config: colorjax.loss(*arrays, config), static_argnames="config")
objective = jax.jit(
    jax.value_and_grad(lambda *arrays, config: losses.objective(*arrays, config)),
    static_argnames="config",
)


def relative(ours, theirs):
    """Return the largest difference over the largest expected entry, over all layers."""
    largest = max(np.abs(t).max() for t in theirs)
    return max(np.abs(o - t).max() for o, t in zip(ours, theirs, strict=True)) / largest


def smooth_case(name, seed=0):
    """Return oracle weights and photos whose outputs are inside (0, 255) and away from kinks."""
    rng = np.random.default_rng(seed)
    gray, rgb = photos(seed)
    kind = reference.NETWORKS[name][2]
    weights = [rng.uniform(-0.1, 0.1, w.shape) for w in reference.init(rng, SIZE, name, 2)]
    if kind == "clip":
        weights[-1] = np.abs(weights[-1])
    out = reference.forward(weights, gray, name)
    assert out.min() > 0
    assert out.max() < 255
    layers, _ = reference.activations(
        weights, reference.scaled(gray.reshape(3, -1).T.astype(float), name), name
    )
    kinks = np.concatenate([h.ravel() for h in layers[1:]])
    assert reference.NETWORKS[name][1] != "relu" or kinks[kinks > 0].min() > 1e-4
    return weights, gray.astype(float), rgb.astype(float)


@pytest.mark.req("LOS-001")
@presets
def test_loss_equals_oracle(name):
    config = small(name)
    params = colorjax.init_params(jax.random.key(0), config)
    gray, rgb = photos(0)
    expected = reference.loss(to_oracle(params), gray, rgb, name.removeprefix("seed-"))
    np.testing.assert_allclose(loss(params, gray, rgb, config=config), expected, rtol=1e-5)


@pytest.mark.req("LOS-002")
@presets
@hypothesis.given(
    gray=hnp.arrays(np.float32, (2, SIZE, SIZE), elements=st.floats(0, 255, width=32)),
    seed=st.integers(0, 2**32 - 1),
)
def test_loss_is_not_negative(name, gray, seed):
    config = small(name)
    params = colorjax.init_params(jax.random.key(1), config)
    rgb = np.random.default_rng(seed).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    assert loss(params, gray, rgb, config=config) >= 0
    truth = colorjax.forward(params, jnp.asarray(gray), config)
    assert colorjax.loss(params, jnp.asarray(gray), truth, config) == 0


@pytest.mark.req("LOS-003")
@presets
def test_gradient_equals_oracle(name):
    plain = name.removeprefix("seed-")
    weights, gray, rgb = smooth_case(plain)
    config = small(name, hidden_multiple=2)
    with jax.enable_x64(True):
        params = from_oracle(weights, np.float64)
        gradients = jax.grad(colorjax.loss)(params, jnp.asarray(gray), jnp.asarray(rgb), config)
        assert relative(to_oracle(gradients), reference.gradient(weights, gray, rgb, plain)) < 1e-9


@pytest.mark.req("LOS-004")
@pytest.mark.parametrize("name", ["seed-relu", "seed-relu2"])
@pytest.mark.parametrize("sign", [1, -1])
def test_clipped_outputs_have_no_gradient(name, sign):
    config = small(name)
    params = jax.tree.map(jnp.ones_like, colorjax.init_params(jax.random.key(2), config))
    last = f"layer_{len(params) - 1}"
    params = {**params, last: {"kernel": params[last]["kernel"] * sign}}
    gray, rgb = photos(2)
    gradients = jax.grad(colorjax.loss)(params, jnp.asarray(gray + 1), jnp.asarray(rgb), config)
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(gradients))


@pytest.mark.req("LOS-005")
@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("clip", lambda z: np.clip(z, 0, 1)),
        ("sigmoid", reference.sigmoid),
        ("tanh", lambda z: (np.tanh(z) + 1) / 2),
    ],
)
def test_matching_gradient_is_output_minus_truth(kind, function):
    z = jnp.linspace(-40, 40, 321).reshape(1, 107, 3)
    for truth in (0.0, 0.3, 1.0):
        gradient = jax.grad(losses.matching_loss)(z, jnp.full_like(z, truth), kind)
        np.testing.assert_allclose(gradient * z.size, function(z) - truth, atol=2e-6)


@pytest.mark.req("LOS-006")
@presets
@pytest.mark.parametrize("kind", ["matching", "squared-error"])
@hypothesis.given(seed=st.integers(0, 2**32 - 1))
def test_objectives_are_finite_and_not_negative(name, kind, seed):
    config = dataclasses.replace(small(name), objective=kind)
    params = colorjax.init_params(jax.random.key(3), config)
    rng = np.random.default_rng(seed)
    gray = rng.choice([0, 100, 255], (2, SIZE, SIZE)).astype(np.float32)
    rgb = rng.choice([0, 100, 255], (2, SIZE, SIZE, 3)).astype(np.float32)
    value, gradients = objective(params, gray, rgb, config=config)
    assert np.isfinite(value)
    assert value >= 0
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.req("LOS-007")
@presets
def test_squared_error_is_the_scaled_loss(name):
    config = dataclasses.replace(small(name), objective="squared-error")
    params = colorjax.init_params(jax.random.key(4), config)
    gray, rgb = photos(4)
    np.testing.assert_allclose(
        objective(params, gray, rgb, config=config)[0] * 255**2 * SIZE * SIZE * 3,
        loss(params, gray, rgb, config=config),
        rtol=1e-5,
    )
