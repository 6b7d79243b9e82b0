"""Larger than one device: parts of a batch, less memory, many devices, several processes."""

import json
import signal
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_process
from photo_network import small

import colorjax
from colorjax import config
from colorjax.training import devices
from colorjax.training import step as training_step


def photos(count=8, size=16):
    gray = np.random.default_rng(2).integers(50, 200, (count, size, size, 1))
    return jnp.asarray(gray + np.array([40, 0, -40]), jnp.uint8)


step = jax.jit(colorjax.train_step, static_argnames="config")


def one_step(conf, batch):
    return step(colorjax.init_state(jax.random.key(3), conf), batch, config=conf)


@pytest.mark.req("TRN-060")
@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_step_is_the_step(parts):
    changes = {"size": 4, "batch": 8, "optimizer.algorithm": "momentum"}
    whole = config.replace(colorjax.preset("seed-tanh2"), changes | {"augment.mirror": 0.5})
    batch = jnp.asarray(training_process.rgb_u8(4, 8))
    expected, metrics = one_step(whole, batch)
    state, found = one_step(config.replace(whole, {"accumulate": parts}), batch)
    for name in ("objective", "gradient_norm", "loss"):
        np.testing.assert_allclose(found[name], metrics[name], rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8),
        state.params,
        expected.params,
    )


@pytest.mark.slow
@pytest.mark.req("TRN-060")
def test_parts_take_less_memory_without_a_loop():
    conf = config.replace(colorjax.preset("seed-tanh2"), {"size": 8, "batch": 8192})
    conf = config.replace(conf, {"network.hidden_multiple": 4})
    state = jax.eval_shape(lambda: colorjax.init_state(jax.random.key(0), conf))
    batch = jax.ShapeDtypeStruct((8192, 8, 8, 3), jnp.uint8)

    def cost(parts):
        lowered = step.lower(state, batch, config=config.replace(conf, {"accumulate": parts}))
        memory = lowered.compile().memory_analysis().temp_size_in_bytes
        return memory, lowered.as_text().count("stablehlo.while")

    (whole, loops), (parted, others) = cost(1), cost(8)
    assert parted <= 0.5 * whole
    assert others == loops


@pytest.mark.req("TRN-060")
def test_parts_divide_the_batch():
    with pytest.raises(colorjax.ColorjaxError, match="accumulate is 3; expected a divisor"):
        config.fit_config(small(accumulate=3), photos=100)


@pytest.mark.req("TRN-061")
@pytest.mark.parametrize("width", [32, 128])  # 128: where minimal filtering pays
def test_remat_keeps_less(width):
    def kept(remat):
        conf = small(**{"network.fine": width, "network.middle": width, "remat": remat})
        asked = training_step.make_objective(conf)
        params = jax.eval_shape(lambda: colorjax.init_params(jax.random.key(0), conf))
        gray, rgb = jnp.zeros((8, 64, 64)), jnp.zeros((8, 64, 64, 3))
        pull = jax.eval_shape(lambda p: jax.vjp(lambda q: asked(q, gray, rgb), p)[1], params)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pull))

    assert kept(True) < 0.5 * kept(False)


@pytest.mark.req("TRN-061")
def test_remat_gives_the_same_step():
    conf = config.replace(colorjax.preset("seed-tanh2"), {"size": 4, "batch": 8})
    batch = jnp.asarray(training_process.rgb_u8(4, 8))
    expected, _ = one_step(conf, batch)
    found, _ = one_step(config.replace(conf, {"remat": True}), batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8),
        found.params,
        expected.params,
    )


@pytest.mark.slow
@pytest.mark.req("TRN-061")
def test_bfloat16_keeps_parameters():
    _, metrics = one_step(small(), photos())
    half, found = one_step(small(**{"network.compute": "bfloat16"}), photos())
    np.testing.assert_allclose(found["objective"], metrics["objective"], rtol=0.02)
    kept = (half.params, half.ema_params, half.opt_state)
    for leaf in jax.tree.leaves(kept):
        assert leaf.dtype in (jnp.float32, jnp.int32)


@pytest.mark.req("TRN-062")
def test_kernels_lie_in_parts():
    conf = small(shard=2)
    mesh = devices.training_mesh(conf)
    assert dict(mesh.shape) == {"data": 1, "shard": 2}
    shapes = jax.eval_shape(lambda: colorjax.init_state(jax.random.key(0), conf))
    places = devices.parameter_shardings(shapes, mesh)
    spec = jax.sharding.PartitionSpec
    stem = places.params["encoder"]["stem"]
    assert stem["kernel"].spec == spec(None, None, None, "shard")
    assert stem["bias"].spec == places.step.spec == spec()
    kernel = devices.put(np.zeros((3, 3, 1, 32)), stem["kernel"])
    assert [part.data.shape for part in kernel.addressable_shards] == [(3, 3, 1, 16)] * 2
    batch = devices.put(np.asarray(photos()), devices.photo_sharding(mesh))
    assert [part.data.shape for part in batch.addressable_shards] == [(4, 16, 16, 3)] * 2
    chunk = devices.put(np.asarray(photos())[None], devices.photo_sharding(mesh, steps=True))
    assert [part.data.shape for part in chunk.addressable_shards] == [(1, 4, 16, 16, 3)] * 2
    assert devices.own_slots(8, mesh) == range(8)


@pytest.mark.req("TRN-062")
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shard": 3}, "shard is 3; expected at most the number of devices, 2"),
        ({"shard": 2, "batch": 7}, "batch is 7; expected a multiple of shard × accumulate = 2"),
    ],
)
def test_what_cannot_be_shared_out_is_one_line(changes, says):
    with pytest.raises(colorjax.ColorjaxError, match=says):
        devices.training_mesh(small(**changes))


@pytest.mark.req("TRN-062")
def test_devices_that_do_not_divide_the_batch_are_left_out():
    assert devices.training_mesh(small(batch=7)).size == 1
    assert devices.training_mesh(small(batch=6)).size == 2
    assert devices.training_mesh(small(batch=6, accumulate=2)).size == 1


def command(run, *options):
    return [sys.executable, training_process.__file__, str(run), *map(str, options)]


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [[line["train_loss"], line["validation_loss"]] for line in lines]


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    """The losses of a run on one device; all others are hidden from it."""
    run, first = tmp_path_factory.mktemp("one") / "run", jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *_: first)
        training_process.run(run, changes={"batch": 8})
    return losses(run)


@pytest.mark.slow
@pytest.mark.req("TRN-062")
@pytest.mark.parametrize("shard", [1, 2])
def test_two_devices_give_the_same_losses(on_one_device, tmp_path, shard):
    training_process.run(tmp_path / "run", changes={"batch": 8, "shard": shard})
    np.testing.assert_allclose(losses(tmp_path / "run"), on_one_device, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.req("TRN-062")
@pytest.mark.parametrize("shard", [1, 2])
def test_eight_devices_give_the_same_losses(on_one_device, tmp_path, shard):
    options = ["--devices", 8, "--set", "batch=8", "--set", f"shard={shard}"]
    subprocess.run(command(tmp_path / "run", *options), check=True)
    np.testing.assert_allclose(losses(tmp_path / "run"), on_one_device, rtol=1e-4)


def together(run, *options):
    """Start two processes of one device each; options of a pair are the second's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        subprocess.Popen(
            [
                *command(run, "--devices", 1, "--coordinator", place, "--processes", 2),
                *("--process", str(i), *(options if i else ())),
            ],
            stderr=subprocess.DEVNULL,
        )
        for i in range(2)
    ]


@pytest.mark.slow
@pytest.mark.req("TRN-063")
def test_processes_die_and_go_on(tmp_path):
    alone = tmp_path / "alone"
    subprocess.run(command(alone, "--devices", 1), check=True)

    def killed(run):
        first, second = together(run, "--die-at", "14")
        assert second.wait() == -signal.SIGKILL
        assert first.wait(timeout=600) != 0
        kept = sorted(int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdigit())
        assert kept
        assert 6 <= kept[-1] < 30

    one = tmp_path / "one"
    killed(one)
    subprocess.run(command(one, "--devices", 1), check=True)
    np.testing.assert_allclose(losses(one), losses(alone), rtol=1e-4)

    two = tmp_path / "two"
    killed(two)
    for process in together(two):
        assert process.wait(timeout=600) == 0
    np.testing.assert_allclose(losses(two), losses(alone), rtol=1e-4)
    assert (two / "weights.safetensors").exists()
