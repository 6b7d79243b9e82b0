"""The pure step: chunk, mirroring, order and split of photos, averages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense import PRESETS, photos, plain

import colorjax
from colorjax import config
from colorjax.data import augment
from colorjax.data import order as data_order
from colorjax.training import step as training_step

presets = pytest.mark.parametrize("name", PRESETS)


def rgb_u8(seed, count=3, size=4):
    return jnp.asarray(photos(seed, count, size)[1].astype(np.uint8))


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
            match=r"^(steps|passes) is 0; expected an integer of at least 1( and of at most \d+)?$",
        ):
            config.fit_config(colorjax.preset("seed-relu"), photos=7, **zero)


@pytest.mark.slow
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
