"""What a run survives: kills, damaged checkpoints, a full disk, steps that are not finite."""

import errno
import fcntl
import gc
import hashlib
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_process
from dense import small

import colorjax
from colorjax import config
from colorjax.training import checkpoint, compiled, loop, runs
from colorjax.training import step as training_step

WEIGHTS = ("weights.safetensors", "weights-last.safetensors")
STEPS = 3 * training_process.PASSES


def timeless(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in loop.TIMES} for line in lines]


def process(run, *options, code):
    command = [sys.executable, training_process.__file__, str(run), *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run at one go."""
    run = tmp_path_factory.mktemp("survival") / "run"
    training_process.run(run)
    return run


def check_same(run, whole):
    for name in WEIGHTS:
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert timeless(run) == timeless(whole)


@pytest.mark.slow
@pytest.mark.req("TRN-040")
def test_killed_run_goes_on_with_the_same_bits(whole, tmp_path):
    rng = random.Random(1)
    run = tmp_path / "run"
    for low in (0, 10, 20):
        process(run, "--die-at", rng.randrange(low + 1, low + 10), code=-signal.SIGKILL)
    training_process.run(run)
    check_same(run, whole)


@pytest.mark.slow
@pytest.mark.req("TRN-040", "TRN-045")
def test_twenty_kills(whole, tmp_path):
    rng = random.Random(2)
    kills = [("--die-at", rng.randrange(1, STEPS)) for _ in range(6)]
    kills += [("--die-in-save", rng.randrange(0, 3)) for _ in range(7)]
    kills += [("--die-after", rng.uniform(0, 0.5)) for _ in range(7)]
    for i, kill in enumerate(kills):
        run = tmp_path / str(i)
        process(run, *kill, "--pictures", code=-signal.SIGKILL)
        process(run, code=0)
        check_same(run, whole)
        assert not list(run.rglob("*tmp*"))


@pytest.mark.slow
@pytest.mark.req("TRN-040")
def test_kill_before_anything_was_saved(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".1234.tmp").write_text("half a conf")
    (run / "metrics.jsonl").write_text('{"step": 3}\n{"ste')
    assert training_process.run(run).metrics[-1]["step"] == STEPS


@pytest.mark.req("TRN-045")
def test_what_kills_left_is_removed(whole, tmp_path, monkeypatch):
    run = shutil.copytree(whole, tmp_path / "run")
    unfinished = run / "checkpoints" / "7.orbax-checkpoint-tmp-123"
    (unfinished / "arrays").mkdir(parents=True)
    (unfinished / "arrays" / "data").write_bytes(b"half")
    temporary, notes = run / ".colorjax-0123456789abcdef.tmp", run / "notes.tmp"
    temporary.write_bytes(b"half")
    notes.write_text("mine")
    with pytest.raises(colorjax.ColorjaxError, match="its config"):
        training_process.run(run, changes={"ema_decay": 0.5})
    assert unfinished.exists()
    assert temporary.exists()

    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", flock)
        training_process.run(run)
    assert unfinished.exists()
    assert temporary.exists()
    training_process.run(run)
    assert not unfinished.exists()
    assert not temporary.exists()
    assert notes.read_text() == "mine"
    check_same(run, whole)


def damage(checkpoint, how):
    facts = checkpoint / "facts" / "metadata"
    if how == "truncated":
        for file in (checkpoint / "arrays").rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return
    found = json.loads(facts.read_text())
    if how == "newer":
        found["format"] += 1
    elif how == "facts":
        found["reached"]["best_step"] += 1
    elif how == "form":
        found = ["no", "object"]
    elif how == "reached":
        found["reached"] = {"best_loss": "low"}
    else:
        found["digest"] = "0" * 64
    if how in ("config", "reached"):
        del found["sha256"]
        found["sha256"] = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    facts.write_text(json.dumps(found))


@pytest.mark.req("TRN-041", "TRN-076", "TRN-077")
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("facts", "is damaged: its facts differ from those saved"),
        ("form", "cannot be read (its facts are not a JSON object)"),
        ("reached", "cannot be read (its progress is missing or invalid)"),
        ("truncated", "cannot be read"),
        ("newer", "is of format 4 (this colorjax reads format 3)"),
        ("config", "is of another config"),
    ],
)
def test_bad_checkpoint_names_the_one_before(tmp_path, how, says):
    run = tmp_path / "run"
    training_process.run(run)
    kept = sorted(int(p.name) for p in (run / "checkpoints").iterdir())
    assert kept == [STEPS - 3, STEPS]
    damage(run / "checkpoints" / str(STEPS), how)
    with pytest.raises(colorjax.ColorjaxError) as caught:
        training_process.run(run)
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert f"checkpoint of step {STEPS} {says}" in line
    assert f"remove its folder to continue from the previous one, of step {STEPS - 3}" in line
    assert "\n" not in line


@pytest.mark.req("TRN-077")
def test_a_failed_read_leaves_no_warning_beside_its_line(tmp_path):
    async def _read_array_index():  # named as orbax's coroutine that nobody awaits after a failed read
        pass

    async def another():
        pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoint.Checkpoints(tmp_path, "digest")
        _read_array_index()
        another()
        gc.collect()
    told = [str(warning.message) for warning in caught]
    assert len(told) == 1
    assert "another' was never awaited" in told[0]


@pytest.mark.req("TRN-077")
@pytest.mark.parametrize("depth", ["[", "9"])
@pytest.mark.parametrize("part", ["facts", "config", "metrics"])
def test_hostile_json_is_one_line(whole, tmp_path, part, depth):
    run = shutil.copytree(whole, tmp_path / "run")
    hostile = depth * (100_000 if depth == "[" else 5000)
    file = {
        "facts": run / "checkpoints" / str(STEPS) / "facts" / "metadata",
        "config": run / "config.json",
        "metrics": run / "metrics.jsonl",
    }[part]
    file.write_text(hostile + "\n")
    with pytest.raises(colorjax.ColorjaxError) as caught:
        training_process.run(run)
    assert caught.value.exit_code == 2
    assert (
        f"step {STEPS}" in str(caught.value) if part == "facts" else file.name in str(caught.value)
    )
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.req("TRN-077")
@pytest.mark.parametrize(
    "line", ["{}", "[1]", '{"step": 1}', '{"step": "1"}', '{"step": 1, "pass": {}}', "\x00"]
)
def test_lines_that_no_run_writes_are_refused(whole, tmp_path, line):
    run = shutil.copytree(whole, tmp_path / "run")
    with open(run / "metrics.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(
        colorjax.ColorjaxError, match=r"metrics.jsonl: line \d+ was not written by a run"
    ) as caught:
        training_process.run(run)
    assert str(caught.value).isprintable()


@pytest.mark.req("TRN-077")
@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "chunks.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "broken link"])
def test_run_files_that_are_no_files_are_refused(tmp_path, name, kind):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(tmp_path / name)
        case "folder":
            (tmp_path / name).mkdir()
        case "broken link":
            (tmp_path / name).symlink_to(name)
    with (
        pytest.raises(colorjax.ColorjaxError, match=rf"{name}: not a file") as caught,
        runs.open_run(tmp_path, {}, resume=True),
    ):
        pass
    assert caught.value.exit_code == 2


def flip(folder, rng):
    """Flip a bit of a file of a folder, the larger the likelier."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    (file,) = rng.choices(files, [path.stat().st_size for path in files])
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


@pytest.mark.req("TRN-076")
def test_no_flipped_bit_is_taken_silently(tmp_path):
    rng = random.Random(3)
    keys = jax.random.split(jax.random.key(0), 4)
    arrays = {
        "kernels": [jax.random.normal(key, (3, 40)) for key in keys],
        "large": jax.random.normal(keys[0], (600, 700)),
        "half": jnp.ones((5, 5), jnp.bfloat16),
        "step": jnp.int32(7),
        "flag": jnp.array([True, False]),
        "key": keys[0],
    }
    with checkpoint.Checkpoints(tmp_path / "good", "digest") as checkpoints:
        checkpoints.save(7, arrays, {"reached": {"best_loss": math.inf}})
    refused = 0
    for number in range(24):
        folder = shutil.copytree(tmp_path / "good", tmp_path / str(number))
        flip(folder / "7", rng)
        with checkpoint.Checkpoints(folder, "digest") as checkpoints:
            try:
                found, facts = checkpoints.restore(7, arrays)
            except colorjax.ColorjaxError:
                refused += 1
                continue
        assert facts["reached"] == {"best_loss": math.inf}
        jax.tree.map(np.testing.assert_array_equal, plain(found), plain(arrays))
    assert refused > 12


def plain(tree):
    """Return a tree with the bits of its keys in place of the keys."""
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


@pytest.mark.req("TRN-076")
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32, jnp.bfloat16, bool])
def test_sums_of_bits_tell_every_element(dtype):
    rng = np.random.default_rng(1)
    array = jnp.asarray(rng.integers(0, 2, (3, 5, 7)), dtype)
    (total,) = checkpoint._sums([array])
    seen = {total}
    for place in np.ndindex(array.shape):
        (changed,) = checkpoint._sums([array.at[place].set(array[place] == 0)])
        seen.add(changed)
    assert len(seen) == 1 + array.size
    assert checkpoint._sums([array[::-1]]) != [total]
    assert checkpoint._sums([array.transpose(0, 2, 1)]) != [total]


@pytest.mark.req("TRN-042")
@pytest.mark.parametrize("limit", [0, pytest.param(20_000, marks=pytest.mark.slow)])
def test_full_disk_stops_cleanly(whole, tmp_path, limit):
    run = tmp_path / "run"
    error = process(run, "--file-limit", limit, code=1)
    (line,) = (x for x in error.splitlines() if x.startswith(str(run)))  # libraries may print too
    # as the limit comes, the checkpoint of step 9 may be under way still; what is refused first is open too
    last = max(int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdigit())
    assert last in (6, 9)
    kept = (
        f"; the checkpoint of step {last} is complete; free some space and use --resume to continue"
    )
    assert line.endswith(kept)
    refused = r"(/[\w.-]+: cannot be written \(File too large\)|: File too large)"
    assert re.fullmatch(re.escape(str(run)) + refused, line.removesuffix(kept))
    training_process.run(run)
    check_same(run, whole)


@pytest.mark.req("TRN-042")
def test_too_little_room_is_one_line(tmp_path, monkeypatch):
    run = tmp_path / "run"
    room = shutil.disk_usage(tmp_path)
    calls = iter([room, room._replace(free=1000)])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: next(calls))
    with pytest.raises(colorjax.ColorjaxError, match="No space left on device") as caught:
        training_process.run(run)
    assert caught.value.exit_code == 1
    assert "the checkpoint of step 3 is complete; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.req("TRN-075")
def test_checkpoint_holds_few_arrays(tmp_path):
    state = colorjax.init_state(jax.random.key(5), colorjax.preset("photo-small"))
    best = jax.tree.map(lambda leaf: leaf + 1, state.averaged)
    like = jax.tree.map(jnp.copy, {"state": state, "best": best})
    with checkpoint.Checkpoints(tmp_path, "digest") as checkpoints:
        checkpoints.save(7, {"state": state, "best": best}, {})
        checkpoints.wait()
        arrays, _ = checkpoints.restore(7, like)
    kept = json.loads((tmp_path / "7" / "arrays" / "_METADATA").read_text())
    assert len(kept["tree_metadata"]) <= 80
    found, expected = (jax.tree.flatten(tree) for tree in (arrays, {"state": state, "best": best}))
    assert found[1] == expected[1]
    for one, other in zip(found[0], expected[0], strict=True):
        assert one.dtype == other.dtype
        assert one.sharding == other.sharding
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


step = jax.jit(colorjax.train_step, static_argnames="config")


def poisoned(step_seed=0, **changes):
    """Return config, state and a batch whose gray is not finite."""
    conf = config.replace(small("seed-sigmoid"), {"ema_decay": 0.9, **changes})
    state = colorjax.init_state(jax.random.key(step_seed), conf)
    good = jnp.asarray(training_process.rgb_u8(3, 4), jnp.float32)
    state, _ = step(state, good, config=conf)
    return conf, state, good


@pytest.mark.req("TRN-043")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_step_is_skipped(bad):
    conf, state, good = poisoned()
    kept = lambda s: (s.params, s.ema_params, s.opt_state)  # noqa: E731
    broken = good.at[0, 1, 2, 0].set(bad)
    after, metrics = step(state, broken, config=conf)
    jax.tree.map(np.testing.assert_array_equal, kept(after), kept(state))
    assert (int(after.step), int(after.skipped), int(after.skipped_in_a_row)) == (2, 1, 1)
    assert int(metrics["skipped_in_a_row"]) == 1
    after, _ = step(after, broken, config=conf)
    after, _ = step(after, good, config=conf)
    assert (int(after.step), int(after.skipped), int(after.skipped_in_a_row)) == (4, 2, 0)
    assert np.any(after.params["layer_0"]["kernel"] != state.params["layer_0"]["kernel"])


@pytest.mark.req("TRN-043")
def test_update_that_overflows_is_skipped():
    conf, state, good = poisoned(**{"optimizer.learning_rate": 3e38, "optimizer.clip_norm": 1e9})
    conf = config.replace(conf, {"optimizer.algorithm": "momentum", "optimizer.warmup": 0.0})
    state = colorjax.init_state(jax.random.key(0), conf)
    for _ in range(3):
        state, _ = step(state, good, config=conf)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state.params))
    assert int(state.skipped) > 0


@pytest.mark.slow
@pytest.mark.req("TRN-014", "TRN-043")
def test_five_bad_steps_stop_the_run(tmp_path, monkeypatch):
    run = tmp_path / "run"
    calls = []

    def poison(state, batches, config):
        """Make the steps from the 7th on see no finite level."""
        calls.append(batches.shape)
        first = state.step + jnp.arange(len(batches))
        bad = jnp.where(first >= 7, jnp.nan, 1.0)[:, None, None, None, None]
        return training_step.train_chunk(state, batches * bad, config)

    monkeypatch.setattr(compiled, "train_chunk", poison)
    with pytest.raises(
        colorjax.ColorjaxError, match=r"^5 steps in a row, from step 7 on, are not finite"
    ) as caught:
        training_process.run(run)
    assert caught.value.exit_code == 1
    lines = timeless(run)
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert [line["skipped"] for line in lines] == [0, 0, 2, 5]
    assert not list(run.glob("*.safetensors"))
    monkeypatch.undo()
    outcome = training_process.run(run)  # the saved state is good: it goes on
    assert outcome.metrics[-1]["step"] == STEPS
    assert np.isfinite(outcome.best_loss)
