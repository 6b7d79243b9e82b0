"""The seed's loss, its gradient and the objectives, against the oracle and central differences."""

import hypothesis
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from dense import PRESETS, SIZE, from_oracle, photos, small, to_oracle
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import colorjax
from colorjax import config as configs
from colorjax.networks import bins
from colorjax.networks.dense import apply_dense
from colorjax.training import losses
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
    config = configs.replace(small(name), {"objective.name": kind})
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
    config = configs.replace(small(name), {"objective.name": "squared-error"})
    params = colorjax.init_params(jax.random.key(4), config)
    gray, rgb = photos(4)
    np.testing.assert_allclose(
        objective(params, gray, rgb, config=config)[0] * 255**2 * SIZE * SIZE * 3,
        loss(params, gray, rgb, config=config),
        rtol=1e-5,
    )


def bins_case(seed=0):
    network = configs.preset("photo").network
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 3, 4, 1 + network.rings * network.hues)).astype(np.float32)
    chroma = rng.uniform(-60, 60, (2, 3, 4, 2)).astype(np.float32)
    return network, jnp.asarray(logits), jnp.asarray(chroma)


@pytest.mark.req("LOS-020")
def test_likelihood_equals_numpy():
    network, logits, chroma = bins_case()
    target = np.asarray(bins.encode_chroma(chroma, network), float)
    wide = np.asarray(logits, float)
    entropy = -(target * (wide - np.log(np.exp(wide).sum(-1, keepdims=True)))).sum(-1)
    ours = losses.likelihood_loss(logits, chroma, network)
    np.testing.assert_allclose(ours, entropy.mean(), rtol=1e-4)
    weights = (0.5 * target.mean((0, 1, 2)) + 0.5 / target.shape[-1]) ** -0.7
    weighted = entropy * (target @ (weights / (weights * target.mean((0, 1, 2))).sum()))
    ours = losses.likelihood_loss(logits, chroma, network, rebalance=0.7)
    np.testing.assert_allclose(ours, weighted.mean(), rtol=1e-4)
    perfect = jnp.log(jnp.asarray(target, jnp.float32) + 1e-9)
    gradient = jax.grad(losses.likelihood_loss)(perfect, chroma, network)
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.req("LOS-021")
def test_robust_distance():
    zero = jnp.zeros((1, 1, 1, 2))
    assert losses.robust_loss(zero, zero) == 0
    near, far = jnp.array([[[[1.2, -1.6]]], [[[240.0, 320.0]]]])[:, None]
    np.testing.assert_allclose(losses.robust_loss(near, zero), 4 / 512, rtol=0.01)
    np.testing.assert_allclose(losses.robust_loss(far, zero), 400 / 16 - 1, rtol=0.01)
    for chroma in (zero, near, far):
        assert np.all(np.isfinite(jax.grad(losses.robust_loss)(chroma, zero)))


@pytest.mark.req("LOS-022")
def test_photo_error():
    _, _, chroma = bins_case()
    assert losses.photo_error_loss(chroma, chroma) == 0
    error = np.sum(np.asarray(chroma, float) ** 2, -1).mean((1, 2))
    ours = losses.photo_error_loss(jnp.zeros_like(chroma), chroma)
    np.testing.assert_allclose(ours, np.log1p(error / 20).mean(), rtol=1e-5)
    assert np.all(np.isfinite(jax.grad(losses.photo_error_loss)(chroma, chroma)))


@pytest.mark.req("LOS-020", "LOS-021", "LOS-022")
def test_chroma_objective_is_the_weighted_sum(monkeypatch):
    network, logits, _ = bins_case()
    monkeypatch.setattr(losses, "apply_photo", lambda params, gray, config: logits)
    rgb = np.random.default_rng(0).uniform(0, 255, (2, 12, 16, 3))
    gray = rgb @ [0.21, 0.72, 0.07]
    chroma = rgb[..., [0, 2]] - gray[..., None]
    cells = [[chroma[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] for j in range(4)] for i in range(3)]
    truth = np.array([[cell.mean((1, 2)) for cell in row] for row in cells]).transpose(2, 0, 1, 3)
    truth = jnp.asarray(truth, jnp.float32)
    decoded = bins.decode(logits, network)
    parts = [
        losses.likelihood_loss(logits, truth, network, rebalance=0.3),
        losses.robust_loss(decoded, truth),
        losses.photo_error_loss(decoded, truth),
    ]
    names = ("likelihood", "robust", "photo_error")
    for weights in ((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 3.0), (0.5, 0.25, 4.0)):
        terms = configs.ObjectiveConfig(rebalance=0.3, **dict(zip(names, weights, strict=True)))
        ours = losses.chroma_objective({}, jnp.asarray(gray), jnp.asarray(rgb), network, terms)
        np.testing.assert_allclose(ours, np.dot(weights, parts), rtol=1e-4)


@pytest.mark.req("LOS-005")
@pytest.mark.parametrize("name", ["seed-relu", "seed-sigmoid", "seed-tanh2"])
def test_matching_objective_is_of_levels_as_shares(name):
    config = configs.replace(small(name), {"objective.name": "matching"})
    params = colorjax.init_params(jax.random.key(5), config)
    gray, rgb = map(jnp.asarray, photos(5))
    z = apply_dense(params, gray, config.network)
    expected = losses.matching_loss(z, rgb / 255, config.network.output_activation)
    found, _ = objective(params, gray, rgb, config=config)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.req("LOS-020")
def test_objective_of_the_photo_network(monkeypatch):
    network, logits, _ = bins_case()
    monkeypatch.setattr(losses, "apply_photo", lambda params, gray, config: logits)
    rgb = jnp.asarray(np.random.default_rng(0).uniform(0, 255, (2, 12, 16, 3)), jnp.float32)
    config = configs.preset("photo")
    expected = losses.chroma_objective({}, rgb[..., 0], rgb, network, config.objective)
    np.testing.assert_array_equal(losses.objective({}, rgb[..., 0], rgb, config), expected)


@pytest.mark.req("LOS-001")
@pytest.mark.parametrize("shape", [(3, 4, 5, 3), (2, 4, 4, 3), (3, 4, 4, 1), (4, 4, 3)])
def test_truth_of_another_shape_is_one_line(shape, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    config = small("seed-relu")
    params = colorjax.init_params(jax.random.key(0), config)
    gray, _ = photos(0)
    with pytest.raises(
        colorjax.ColorjaxError, match=r"^rgb is .*the truth of gray, \(3, 4, 4, 3\)"
    ):
        colorjax.loss(params, jnp.asarray(gray), jnp.ones(shape), config)


@pytest.mark.req("LOS-020", "LOS-007")
def test_objective_must_fit_the_network():
    config = configs.replace(small("seed-relu"), {"objective.name": "chroma"})
    params = colorjax.init_params(jax.random.key(0), config)
    gray, rgb = photos(0)
    with pytest.raises(colorjax.ColorjaxError, match=r"^objective.name is 'chroma'; expected"):
        losses.objective(params, jnp.asarray(gray), jnp.asarray(rgb), config)
