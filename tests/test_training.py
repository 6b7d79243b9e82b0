"""The pure step: optimizer, schedule, decay, chunk, augmentation, order of photos."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from dense import PRESETS, photos, small

import colorjax
from colorjax import config
from colorjax.data import augment
from colorjax.data import order as data_order
from colorjax.training import optimizer
from colorjax.training import step as training_step

presets = pytest.mark.parametrize("name", PRESETS)


def rgb_u8(seed, count=3, size=4):
    return jnp.asarray(photos(seed, count, size)[1].astype(np.uint8))


def plain(name="seed-relu", **optimizer):
    """Return a small preset whose rate is constant from the first step."""
    changes = {"schedule": "constant", "warmup": 0.0} | optimizer
    return config.replace(small(name), {f"optimizer.{k}": v for k, v in changes.items()})


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


@pytest.mark.req("TRN-037")
def test_second_update_of_muon_has_nesterov_momentum():
    one, two = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    _, second = two_updates([{"w": jnp.asarray(one)}, {"w": jnp.asarray(two)}], algorithm="muon")
    options = {"ns_steps": 4, "preconditioning": "aol", "consistent_rms": 0.2}
    oracle = optax.contrib.muon(1.0, **options)
    ahead = {"w": two + 0.95 * (two + 0.95 * jnp.asarray(one))}
    expected, _ = oracle.update(ahead, oracle.init(ahead), ahead)
    np.testing.assert_allclose(second["w"], expected["w"], atol=1e-3)


@pytest.mark.req("TRN-037")
def test_a_wide_matrix_is_orthogonalized_as_its_transpose():
    matrix = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    drawn = np.asarray(optimizer.orthogonalize(jnp.asarray(matrix)))
    values = np.linalg.svd(drawn, compute_uv=False)
    assert np.all((values > 0.65) & (values < 1.25))
    np.testing.assert_allclose(optimizer.orthogonalize(jnp.asarray(matrix.T)), drawn.T, atol=1e-4)


@pytest.mark.req("TRN-002")
def test_step_is_pure():
    conf = plain()
    state = colorjax.init_state(jax.random.key(0), conf)
    before = jax.tree.map(np.asarray, (state.params, state.opt_state))
    first, metrics = colorjax.train_step(state, rgb_u8(0), conf)
    again, _ = colorjax.train_step(state, rgb_u8(0), conf)
    jax.tree.map(np.testing.assert_array_equal, first.params, again.params)
    jax.tree.map(np.testing.assert_array_equal, before, (state.params, state.opt_state))
    assert (int(state.step), int(first.step)) == (0, 1)
    assert np.any(jax.random.key_data(first.key) != jax.random.key_data(state.key))
    assert {"objective", "loss", "gradient_norm"} <= set(metrics)


@pytest.mark.req("TRN-003")
@presets
def test_steps_descend(name):
    conf = plain(name, learning_rate=1e-3)
    batches = jnp.repeat(rgb_u8(1)[None], 30, 0)
    chunk = jax.jit(training_step.train_chunk, static_argnames="config")
    _, metrics = chunk(colorjax.init_state(jax.random.key(1), conf), batches, config=conf)
    assert metrics["objective"][-1] < metrics["objective"][0]


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


@pytest.mark.req("TRN-006")
def test_chunk_equals_its_steps():
    conf = plain("seed-sigmoid")
    state = colorjax.init_state(jax.random.key(2), conf)
    batches = jnp.stack([rgb_u8(seed) for seed in range(4)])
    chunked, metrics = training_step.train_chunk(state, batches, conf)
    step = jax.jit(colorjax.train_step, static_argnames="config")
    losses = []
    for batch in batches:
        state, one = step(state, batch, config=conf)
        losses.append(one["loss"])
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        chunked.params,
        state.params,
    )
    assert int(chunked.step) == 4


@pytest.mark.req("TRN-007")
def test_every_pass_visits_every_photo_once():
    order = data_order.photo_order(10, 4, seed=3)
    draws = np.concatenate([order(step) for step in range(15)])
    passes = draws.reshape(6, 10)
    np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(10), (6, 1)))
    assert len({tuple(p) for p in passes}) == 6
    np.testing.assert_array_equal(data_order.photo_order(10, 4, seed=3)(7), draws[28:32])
    assert np.any(data_order.photo_order(10, 4, seed=4)(0) != draws[:4])


@pytest.mark.req("TRN-008")
@pytest.mark.parametrize(
    ("probability", "low", "high"), [(0.0, 0, 0), (1.0, 1000, 1000), (0.5, 400, 600)]
)
def test_mirroring(probability, low, high):
    rgb = jax.random.uniform(jax.random.key(4), (1000, 2, 3, 3))
    mirrored = augment.random_mirror(jax.random.key(5), rgb, probability=probability)
    same = np.all(mirrored == rgb, axis=(1, 2, 3))
    flipped = np.all(mirrored == rgb[:, :, ::-1], axis=(1, 2, 3))
    assert np.all(same ^ flipped)
    assert low <= flipped.sum() <= high


@pytest.mark.req("TRN-016")
@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.9, 1.0])
def test_split_leaves_training_photos(count, share):
    train, validation = data_order.split(count, share, seed=6)
    assert len(train) >= 1
    assert sorted([*train, *validation]) == list(range(count))
    assert len(validation) == (
        0 if count == 1 or share == 0 else np.clip(round(share * count), 1, count - 1)
    )
    np.testing.assert_array_equal(train, data_order.split(count, share, seed=6)[0])


@pytest.mark.req("TRN-016")
def test_batch_shrinks_to_the_photos():
    conf = config.fit_config(colorjax.preset("seed-relu"), photos=7, passes=3)
    assert (conf.batch, conf.pass_steps, conf.steps) == (7, 1, 3)
    conf = config.fit_config(colorjax.preset("seed-relu"), photos=120, passes=3)
    assert (conf.batch, conf.pass_steps, conf.steps) == (50, 3, 9)
    conf = config.fit_config(colorjax.preset("seed-relu"), photos=120, steps=11)
    assert (conf.steps, conf.pass_steps) == (11, 3)
    for zero in ({"steps": 0}, {"passes": 0}):
        with pytest.raises(
            colorjax.ColorjaxError,
            match=r"^(steps|passes) is 0; expected an integer of at least 1$",
        ):
            config.fit_config(colorjax.preset("seed-relu"), photos=7, **zero)


@pytest.mark.req("TRN-018")
def test_sweep_equals_separate_trainings():
    conf = dataclasses.replace(plain(), steps=5)
    batches = jnp.stack([rgb_u8(seed) for seed in range(5)])
    rates, decays = jnp.array([1e-4, 1e-3]), jnp.array([0.0, 10.0])
    validation = rgb_u8(9)
    sweep = jax.jit(training_step.sweep, static_argnames="config")
    losses = sweep(jax.random.key(7), batches, validation, rates, decays, config=conf)
    assert losses.shape == (2, 2)
    assert len(np.unique(losses)) == 4
    for i, j in ((0, 1), (1, 0)):
        changes = {"learning_rate": float(rates[i]), "weight_decay": float(decays[j])}
        alone = config.replace(conf, {f"optimizer.{k}": v for k, v in changes.items()})
        state = colorjax.init_state(jax.random.key(7), alone)
        state, _ = training_step.train_chunk(state, batches, alone)
        expected = training_step.evaluation_loss(state.params, validation, alone)
        np.testing.assert_allclose(losses[i, j], expected, rtol=1e-4)
    assert sweep._cache_size() == 1


@pytest.mark.req("TRN-034")
@pytest.mark.parametrize("decay", [0.0, 0.05, 0.99])
def test_averaged_parameters(decay):
    conf = config.replace(plain(), {"ema_decay": decay})
    state = colorjax.init_state(jax.random.key(8), conf)
    for step in range(3):
        after, _ = colorjax.train_step(state, rgb_u8(step), conf)
        if not decay:
            assert after.averaged is after.params
        else:
            memory = min(decay, (1 + step) / (10 + step))
            expected = jax.tree.map(
                lambda old, new, m=memory: m * old + (1 - m) * new, state.averaged, after.params
            )
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
                after.averaged,
                expected,
            )
        state = after


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
    updates, _ = optimizer.update(gradients, optimizer.init(gradients), gradients)
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
    expected, _ = oracle.update(gradients, oracle.init(gradients), gradients)
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
        return chain.update(gradients, chain.init(params), params)[0], conf

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
