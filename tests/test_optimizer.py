"""The optimizer: clipping, directions, schedules, decay, frozen parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from dense import plain, small

import colorjax
from colorjax import config
from colorjax.training import optimizer


@pytest.mark.req("TRN-001")
@pytest.mark.parametrize("algorithm", ["adam", "momentum"])
def test_gradients_are_clipped(algorithm):
    optimizer = colorjax.make_optimizer(plain(algorithm=algorithm, clip_norm=2.0))
    params = {"w": jnp.ones(5)}
    little, large = {"w": jnp.linspace(-0.1, 0.1, 5)}, {"w": jnp.linspace(-300.0, 500.0, 5)}
    clipped = jax.tree.map(lambda g: g * 2.0 / optax.tree.norm(large), large)
    _, state = optimizer.update(little, optimizer.init(params), params)
    ours, _ = optimizer.update(large, state, params)
    expected, _ = optimizer.update(clipped, state, params)
    np.testing.assert_allclose(ours["w"], expected["w"], rtol=1e-6)
    unclipped = colorjax.make_optimizer(plain(algorithm=algorithm, clip_norm=1e9))
    other, _ = unclipped.update(large, state, params)
    assert np.any(np.abs(other["w"] / ours["w"] - 1) > 0.01)


def two_updates(gradients, **options):
    """Return the directions of two updates at a rate of 1, with nothing clipped or decayed."""
    still = {"learning_rate": 1.0, "clip_norm": 1e9, "weight_decay": 0.0}
    chain = colorjax.make_optimizer(plain(**still, **options))
    params = jax.tree.map(jnp.zeros_like, gradients[0])
    first, state = chain.update(gradients[0], chain.init(params), params)
    return first, chain.update(gradients[1], state, params)[0]


@pytest.mark.req("TRN-001")
@pytest.mark.parametrize("second_moment", [0.9, 0.999])
def test_two_updates_equal_numpy(second_moment):
    one, two = np.random.default_rng(0).normal(size=(2, 5))
    gradients = [{"w": jnp.asarray(g, jnp.float32)} for g in (one, two)]
    first, second = two_updates(gradients, algorithm="momentum")
    np.testing.assert_allclose(first["w"], -one, rtol=1e-5)
    np.testing.assert_allclose(second["w"], -(0.9 * one + two), rtol=1e-5)
    b = second_moment
    first, second = two_updates(gradients, algorithm="adam", second_moment=b)
    np.testing.assert_allclose(first["w"], -np.sign(one), rtol=1e-4)
    mean = (0.9 * 0.1 * one + 0.1 * two) / (1 - 0.9**2)
    square = (b * (1 - b) * one**2 + (1 - b) * two**2) / (1 - b**2)
    np.testing.assert_allclose(second["w"], -mean / np.sqrt(square), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.req("TRN-037")
def test_second_update_of_muon_has_nesterov_momentum():
    one, two = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    _, second = two_updates([{"w": jnp.asarray(one)}, {"w": jnp.asarray(two)}], algorithm="muon")
    options = {"ns_steps": 4, "preconditioning": "aol", "consistent_rms": 0.2}
    oracle = optax.contrib.muon(1.0, **options)
    ahead = {"w": two + 0.95 * (two + 0.95 * jnp.asarray(one))}
    expected, _ = jax.jit(oracle.update)(ahead, oracle.init(ahead), ahead)
    np.testing.assert_allclose(second["w"], expected["w"], atol=1e-3)


@pytest.mark.req("TRN-037")
def test_a_wide_matrix_is_orthogonalized_as_its_transpose():
    matrix = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    drawn = np.asarray(optimizer.orthogonalize(jnp.asarray(matrix)))
    values = np.linalg.svd(drawn, compute_uv=False)
    assert np.all((values > 0.65) & (values < 1.25))
    np.testing.assert_allclose(optimizer.orthogonalize(jnp.asarray(matrix.T)), drawn.T, atol=1e-4)


@pytest.mark.req("TRN-004")
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("cosine", [0, 0.5, *(0.5 + 0.5 * np.cos(np.pi * np.arange(9) / 8))]),
        (
            "inverse-cube",
            [0, 0.5, *[1 / 8] * 2, *[1 / 27] * 2, *[1 / 64] * 2, *[1 / 125] * 2, 1 / 216],
        ),
    ],
)
def test_schedules(schedule, expected):
    changes = {
        "steps": 10,
        "pass_steps": 2,
        "optimizer.schedule": schedule,
        "optimizer.warmup": 0.2,
    }
    shape = optimizer.schedule(config.replace(small("seed-relu"), changes))
    np.testing.assert_allclose([shape(step) for step in range(11)], expected, atol=1e-6)


@pytest.mark.req("TRN-004")
@pytest.mark.parametrize("name", ["constant", "cosine", "inverse-cube"])
def test_a_warmup_of_all_steps(name):
    changes = {"steps": 4, "pass_steps": 9, "optimizer.schedule": name, "optimizer.warmup": 1.0}
    shape = optimizer.schedule(config.replace(small("seed-relu"), changes))
    np.testing.assert_allclose([shape(step) for step in range(4)], [0, 0.25, 0.5, 0.75])


@pytest.mark.req("TRN-005")
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_weight_decay_is_of_matrices(ndim):
    chain = colorjax.make_optimizer(plain(learning_rate=1.0, weight_decay=0.5))
    params = {"w": jnp.ones((2,) * ndim)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = chain.update(zeros, chain.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.5 if ndim in (2, 4) else 0)


@pytest.mark.req("TRN-005")
def test_weight_decay_shrinks_weights():
    optimizer = colorjax.make_optimizer(plain(learning_rate=0.01, weight_decay=0.3))
    params = {"w": jnp.linspace(-2, 2, 8).reshape(2, 4), "bias": jnp.ones(4)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.003 * params["w"], rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], 0)


@pytest.mark.slow
@pytest.mark.req("TRN-037")
def test_muon_orthogonalizes_kernels():
    rng = np.random.default_rng(0)
    gradients = {
        "conv": jnp.asarray(rng.normal(size=(3, 3, 8, 16)), jnp.float32),
        "dense": jnp.asarray(rng.normal(size=(24, 10)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=16), jnp.float32),
        "silent": jnp.zeros((3, 3, 4, 4)),
    }
    options = {"learning_rate": 1.0, "warmup": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    optimizer = colorjax.make_optimizer(plain(algorithm="muon", **options))
    updates, _ = jax.jit(optimizer.update)(gradients, optimizer.init(gradients), gradients)
    for name in ("conv", "dense"):
        update, gradient = (
            np.asarray(t[name]).reshape(-1, t[name].shape[-1]) for t in (updates, gradients)
        )
        left, _, right = np.linalg.svd(gradient, full_matrices=False)
        polar = left @ right
        cosine = -np.sum(update * polar) / np.linalg.norm(update) / np.linalg.norm(polar)
        assert cosine >= 0.95
        values = np.linalg.svd(update, compute_uv=False)
        assert values[0] <= 2 * values[-1]
        assert 0.2 / 1.5 <= np.sqrt(np.mean(update**2)) <= 0.2 * 1.5
    numbers = {
        "conv": optax.contrib.MuonDimensionNumbers((0, 1, 2), 3),
        "dense": optax.contrib.MuonDimensionNumbers(),
        "bias": None,
        "silent": None,
    }
    oracle = optax.contrib.muon(
        1.0,
        ns_steps=4,
        preconditioning="aol",
        consistent_rms=0.2,
        muon_weight_dimension_numbers=numbers,
    )
    expected, _ = jax.jit(oracle.update)(gradients, oracle.init(gradients), gradients)
    for name in ("conv", "dense"):
        np.testing.assert_allclose(updates[name], expected[name], atol=1e-4)
    assert not updates["silent"].any()
    adam = optax.scale_by_adam(b2=0.999, nesterov=True)
    expected, _ = adam.update(gradients, adam.init(gradients))
    np.testing.assert_allclose(updates["bias"], -expected["bias"], rtol=1e-4)


@pytest.mark.req("TRN-038")
@pytest.mark.parametrize("algorithm", ["adam", "muon"])
def test_the_encoder_is_slower_and_frozen_parameters_stay(algorithm):
    rng = np.random.default_rng(0)
    shapes = {"depthwise": (3, 3, 8), "project": (1, 1, 8, 4)}
    block = {
        name: {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32), "bias": jnp.ones(4)}
        for name, shape in shapes.items()
    }
    params = {
        "encoder": {"stage_0": block, "stage_4": block},
        "head": {"kernel": jnp.ones((1, 1, 4, 4))},
    }
    gradients = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32), params)

    def update(**options):
        options |= {"learning_rate": 1.0, "warmup": 0.0, "weight_decay": 0.1}
        conf = plain(algorithm=algorithm, schedule="constant", **options)
        chain = colorjax.make_optimizer(conf)
        return jax.jit(chain.update)(gradients, chain.init(params), params)[0], conf

    full, _ = update()
    slow, _ = update(encoder_rate=0.25)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, 0.25 * b, rtol=1e-6),
        slow["encoder"],
        full["encoder"],
    )
    np.testing.assert_array_equal(slow["head"]["kernel"], full["head"]["kernel"])
    everything = ["depthwise", "project"]
    held_back = {"depthwise": ["depthwise"], "early": everything, "encoder": everything}
    for frozen, stays in held_back.items():
        held, conf = update(frozen=frozen)
        moved = held["encoder"]["stage_0"]
        assert [name for name in shapes if not moved[name]["kernel"].any()] == stays
        assert held["head"]["kernel"].all()
        later = held["encoder"]["stage_4"]["project"]["kernel"].any()
        assert later == (frozen != "encoder")

        def total(p, conf=conf):
            return sum(leaf.sum() for leaf in jax.tree.leaves(optimizer.hold_frozen(p, conf)))

        pulled = jax.grad(total)(params)["encoder"]["stage_0"]
        assert [name for name in shapes if not pulled[name]["kernel"].any()] == stays
    if algorithm == "muon":  # the encoder's kernels move as by Adam: each by about its rate
        kernel = full["encoder"]["stage_0"]["project"]["kernel"] + 0.1 * block["project"]["kernel"]
        assert np.ptp(np.abs(kernel)) < 1e-3


@pytest.mark.req("TRN-038")
def test_of_depthwise_layers_only_kernels_are_frozen():
    layer = {name: jnp.ones(2) for name in ("bias", "kernel", "scale")}
    held = {name: name == "kernel" for name in layer}
    free = dict.fromkeys(layer, False)
    params = {"encoder": {"depthwise": layer, "project": layer}, "depthwise": layer}
    expected = {"encoder": {"depthwise": held, "project": free}, "depthwise": free}
    assert optimizer.is_frozen(params, plain(frozen="depthwise")) == expected
