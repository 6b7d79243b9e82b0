"""The loop: run folder, best pass, resume, refusals."""

import dataclasses
import errno
import json
import os
import re
import signal
import sys

import jax
import numpy as np
import photo_network
import pytest
from commanding import TINY_RUN
from dense import PRESETS, small
from PIL import Image

import colorjax
from colorjax import cli, config, errors, locks, weights
from colorjax.cli.options import Terminated
from colorjax.data import datasets
from colorjax.evaluation import report
from colorjax.training import compiled, devices, log, loop
from colorjax.training import step as training_step


def rgb_u8(seed, count):
    """Return photos that can be learnt: a random gray with a tint that falls with it."""
    gray = np.random.default_rng(seed).integers(30, 220, (count, 4, 4, 1))
    return np.clip(gray + np.array([30, 0, -30]), 0, 255).astype(np.uint8)


PHOTOS, VALIDATION = rgb_u8(0, 11), rgb_u8(1, 3)


def fitted(name="seed-relu", passes=6, batch=4, **changes):
    conf = dataclasses.replace(small(name), batch=batch)
    conf = config.fit_config(conf, photos=len(PHOTOS), passes=passes)
    return config.replace(conf, {"optimizer.learning_rate": 1e-3} | changes)


def stopping(after, number=signal.SIGTERM):
    """Return a progress callback that sends this process a signal once `after` steps are done."""
    sent = []

    def progress(step, metrics):
        if step >= after and not sent:
            sent.append(os.kill(os.getpid(), number))

    return progress


def timeless(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in loop.TIMES} for line in lines]


def chunk_lines(run):
    return [json.loads(line) for line in (run / "chunks.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("trainer") / "run"
    return run, loop.train(PHOTOS, VALIDATION, fitted(), run, seed=5)


@pytest.mark.req("TRN-010", "EVL-022", "EVL-023")
def test_run_folder(finished):
    run, outcome = finished
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "chunks.jsonl",
        "config.json",
        "loss.png",
        "metrics.jsonl",
        "samples.png",
        "weights-last.safetensors",
        "weights.safetensors",
    ]
    lines = timeless(run)
    assert [line["step"] for line in lines] == [3, 6, 9, 12, 15, 18]
    assert [line["pass"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line["train_loss"] > 0 and line["validation_loss"] > 0 for line in lines)
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    gray = np.asarray(colorjax.rgb_to_gray(VALIDATION))[..., None]
    copied = np.mean(np.sum((gray - VALIDATION) ** 2.0, axis=(1, 2, 3)))
    for line in lines:
        gain = 10 * np.log10(copied / line["validation_loss"])
        np.testing.assert_allclose(line["validation_gain"], gain, atol=1e-4)
    chunks = chunk_lines(run)
    assert [chunk["step"] for chunk in chunks] == [3, 6, 9, 12, 15, 18]
    for chunk, line in zip(chunks, lines, strict=True):
        np.testing.assert_allclose(chunk["loss"], line["train_loss"], rtol=1e-6)
    with Image.open(run / "loss.png") as plot:
        assert np.ptp(np.asarray(plot.convert("L"))) > 100
    assert outcome.metrics == [
        json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()
    ]


@pytest.mark.req("EVL-024")
def test_sample_sheet_holds_the_pixels(finished):
    run, _ = finished
    params, conf = colorjax.load_weights(run / "weights.safetensors")
    sheet = np.asarray(Image.open(run / "samples.png"))
    gray = np.asarray(colorjax.rgb_to_gray(VALIDATION))
    colorized = np.rint(colorjax.forward(params, jax.numpy.asarray(gray), conf)).astype(np.uint8)
    columns = [VALIDATION, np.rint(gray)[..., None].repeat(3, -1), colorized]
    zoom, gap = 32, 4
    side = 4 * zoom
    top = sheet.shape[0] - 3 * (side + gap)
    for row in range(3):
        for column, expected in enumerate(columns):
            y, x = top + row * (side + gap), column * (side + gap)
            shown = sheet[y + zoom // 2 : y + side : zoom, x + zoom // 2 : x + side : zoom]
            np.testing.assert_array_equal(shown, expected[row])


@pytest.mark.req("TRN-011", "EVL-021")
def test_the_best_pass_is_kept(finished):
    run, outcome = finished
    lines = timeless(run)
    best = min(lines, key=lambda line: line["validation_loss"])
    assert (outcome.best_step, outcome.best_loss) == (best["step"], best["validation_loss"])
    for name, line in (("weights", best), ("weights-last", lines[-1])):
        params, conf = colorjax.load_weights(run / f"{name}.safetensors")
        loss = training_step.evaluation_loss(params, jax.numpy.asarray(VALIDATION), conf)
        np.testing.assert_allclose(loss, line["validation_loss"], rtol=1e-5)
    record = weights.load_record(run / "weights.safetensors")
    assert record["step"] == best["step"]
    assert record["photos"] == 11
    assert set(record["baselines"]) == {"tint", "level_tint", "mean_photo"}


@pytest.mark.slow
@pytest.mark.req("TRN-011")
def test_the_start_is_kept_if_no_pass_is_better(finished, tmp_path):
    run, _ = finished
    start, _ = colorjax.load_weights(run / "weights.safetensors")
    conf = fitted(passes=2, **{"optimizer.learning_rate": 0.1})
    outcome = loop.train(
        PHOTOS[..., ::-1].copy(), VALIDATION, conf, tmp_path / "run", initial_params=start
    )
    loss = training_step.evaluation_loss(start, jax.numpy.asarray(VALIDATION), conf)
    assert outcome.best_step == 0
    np.testing.assert_allclose(outcome.best_loss, loss, rtol=1e-5)
    kept, _ = colorjax.load_weights(outcome.weights)
    jax.tree.map(np.testing.assert_array_equal, kept, start)


@pytest.mark.req("TRN-012")
@pytest.mark.parametrize(
    ("after", "number"), [(3, signal.SIGTERM), (9, signal.SIGINT), (15, signal.SIGTERM)]
)
def test_resumed_run_has_the_same_bits(finished, tmp_path, after, number):
    whole, _ = finished
    run = tmp_path / "run"
    with pytest.raises(
        colorjax.ColorjaxError, match=f"^interrupted at step {after}; .*--resume"
    ) as caught:
        loop.train(PHOTOS, VALIDATION, fitted(), run, seed=5, progress=stopping(after, number))
    assert caught.value.exit_code == 128 + number
    loop.train(PHOTOS, VALIDATION, fitted(), run, seed=5, resume=True)
    for name in ("weights.safetensors", "weights-last.safetensors"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert timeless(run) == timeless(whole)
    assert chunk_lines(run) == chunk_lines(whole)


@pytest.mark.req("TRN-013")
def test_runs_are_not_mixed(finished):
    run, _ = finished
    before = {p: p.read_bytes() for p in run.iterdir() if p.is_file()}
    other_steps = "its config.steps is 18, that of this command is 21; --init-from"
    refusals = [
        (fitted(), PHOTOS, 5, False, "already holds a run"),
        (fitted(), PHOTOS, 6, True, "its seed is 5, that of this command is 6"),
        (fitted(passes=7), PHOTOS, 5, True, other_steps),
        (fitted(), PHOTOS[::-1].copy(), 5, True, "it was trained with other photos"),
    ]
    for conf, photos, seed, resume, message in refusals:
        with pytest.raises(colorjax.ColorjaxError, match=message) as caught:
            loop.train(photos, VALIDATION, conf, run, seed=seed, resume=resume)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in run.iterdir() if p.is_file()} == before


@pytest.mark.req("TRN-012")
@pytest.mark.parametrize(
    ("where", "stop", "code", "advice"),
    [
        ((datasets, "check_readable"), KeyboardInterrupt(), 130, "run the same command again"),
        ((loop, "Loader"), KeyboardInterrupt(), 130, "use --resume"),
        ((loop, "Loader"), Terminated(signal.SIGTERM), 143, "use --resume"),
    ],
)
def test_interrupted_outside_the_steps(tmp_path, capsys, monkeypatch, where, stop, code, advice):
    def interrupted(*_, **__):
        raise stop

    command = ["train", "samples", "--out", str(tmp_path / "run"), *TINY_RUN, "--steps", "1"]
    with monkeypatch.context() as patched:
        patched.setattr(*where, interrupted)
        assert cli.main([*command, "--quiet"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("colorjax: interrupted; ")
    assert line.endswith(f"{advice} to continue")
    if "--resume" in advice:
        command.append("--resume")
    assert cli.main(command) == 0


@pytest.mark.req("TRN-013")
def test_what_the_devices_cannot_do_makes_no_run(tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", "samples", "--out", str(run), *TINY_RUN, "--steps", "1", "--quiet"]
    assert cli.main([*command, "--set", "shard=7"]) == 2
    assert "shard is 7" in capsys.readouterr().err
    assert not run.exists()
    assert cli.main(command) == 0


@pytest.mark.req("TRN-044")
def test_a_run_is_trained_once_at_a_time(finished, tmp_path):
    whole, _ = finished
    run, folder = tmp_path / "run", tmp_path / "there"
    folder.mkdir()
    run.symlink_to(folder)
    refused = []

    def progress(step, metrics):
        before = {p: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        with pytest.raises(errors.CheckpointError, match="another process is training") as caught:
            loop.train(PHOTOS, VALIDATION, fitted(), folder, seed=5, resume=True)
        assert {p: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before
        refused.append(str(caught.value))

    loop.train(PHOTOS, VALIDATION, fitted(), run, seed=5, checkpoint_every=3, progress=progress)
    assert set(refused) == {f"{folder}: another process is training this run"}
    assert timeless(run) == timeless(whole)
    loop.train(PHOTOS, VALIDATION, fitted(), run, seed=5, resume=True)  # the lock has ended


@pytest.mark.req("TRN-044")
def test_the_command_refuses_a_run_in_training(tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", "samples", "--out", str(run), *TINY_RUN, "--steps", "1", "--quiet"]
    run.mkdir()
    with locks.locked(run):
        assert cli.main(command) == 2
        assert capsys.readouterr().err == f"colorjax: {run}: another process is training this run\n"
        assert not list(run.iterdir())
    assert cli.main(command) == 0


@pytest.mark.req("TRN-044")
def test_a_file_system_without_locks_can_hold_runs(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    outcome = loop.train(PHOTOS, VALIDATION, fitted(passes=1), tmp_path / "run")
    assert outcome.metrics[-1]["step"] == 3


@pytest.mark.req("TRN-013")
def test_other_photos_are_named_before_what_follows_from_them(tmp_path, capsys):
    folder, run = tmp_path / "photos", tmp_path / "run"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(rgb_u8(i, 1)[0]).save(folder / f"{i}.png")
    command = ["train", str(folder), "--out", str(run), *TINY_RUN, "--passes", "1", "--quiet"]
    command += ["--validation", "0.1", "--resume"]

    def refusal(*options):
        assert cli.main([*command, *options]) == 2
        return capsys.readouterr().err

    assert cli.main(command) == 0
    other_size = f"colorjax: {run}: its config.size is 4, that of this command is 5; --init-from"
    assert refusal("--size", "5").startswith(other_size)
    assert refusal("--seed", "1") == (
        f"colorjax: {run}: its seed is 0, that of this command is 1\n"
    )
    Image.fromarray(rgb_u8(99, 1)[0]).save(folder / "3.png")
    other = (
        f"colorjax: {run}: it was trained with other photos, or with the same in another order\n"
    )
    assert refusal() == other
    (folder / "3.png").unlink()
    assert refusal() == f"colorjax: {run}: it was trained on 11 photos, this command has 10\n"


@pytest.mark.slow
@pytest.mark.req("TRN-012")
@pytest.mark.parametrize("empty", [True, False])
def test_resume_of_nothing_starts(tmp_path, empty):
    run = tmp_path / "run"
    if empty:
        run.mkdir()
    outcome = loop.train(PHOTOS, VALIDATION, fitted(passes=1), run, resume=True)
    assert outcome.metrics[-1]["step"] == 3


@pytest.mark.req("TRN-013")
@pytest.mark.parametrize("place", ["file", "full"])
def test_output_place_is_checked(tmp_path, place):
    (tmp_path / "file").write_text("text")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("text")
    with pytest.raises(colorjax.ColorjaxError, match=place) as caught:
        loop.train(PHOTOS, VALIDATION, fitted(), tmp_path / place)
    assert caught.value.exit_code == 2
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["diary.txt", "file", "full"]


def steps_compiled(caplog):
    """Return the beginnings of what JAX logged of compiling a chunk or a step."""
    found = [re.match(r"Compiling jit\(train_\w+\)", record.message) for record in caplog.records]
    return [match[0] for match in found if match]


@pytest.mark.req("TRN-006", "TRN-015", "TRN-073")
def test_one_compilation(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(log, "SELDOM", 1e9)  # matplotlib logs too
    messages, sizes = lambda: [r.message for r in caplog.records], []
    with jax.log_compiles():
        loop.train(
            PHOTOS,
            VALIDATION,
            fitted("seed-sigmoid", passes=5),
            tmp_path / "run",
            checkpoint_every=3,
            progress=lambda step, _: sizes.append(len(messages())),
        )
    assert steps_compiled(caplog) == ["Compiling jit(train_chunk)"]
    assert sizes[1:] == [sizes[1]] * 4  # the second chunk's is the first checkpoint's copy


@pytest.mark.req("TRN-073")
def test_implicit_copies_are_refused_in_the_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "put", lambda array, sharding: array)
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
        loop.train(PHOTOS, VALIDATION, fitted(), tmp_path / "run")


@pytest.mark.req("TRN-046")
@pytest.mark.parametrize(
    ("part", "method"), [(compiled.CompiledTraining, "start"), (loop._Training, "take_steps")]
)
def test_a_training_that_does_not_fit_is_one_line(part, method, tmp_path, monkeypatch, capsys):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")

    monkeypatch.setattr(part, method, exhausted)
    tiny = ["--steps", "2", "--quiet", *TINY_RUN]
    assert cli.main(["train", "samples", "--out", str(tmp_path / "run"), *tiny]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "memory" in line
    assert "--batch" in line


@pytest.mark.slow
@pytest.mark.req("TRN-070")
def test_pictures_are_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "SELDOM", 0)
    drawn, run = [], tmp_path / "run"
    write = log.write_samples

    def note(path, truth, gray, colorized):
        drawn.append((truth.tobytes(), colorized.tobytes()))
        write(path, truth, gray, colorized)

    monkeypatch.setattr(log, "write_samples", note)
    loop.train(PHOTOS, VALIDATION, fitted(passes=3), run)
    truth, colorized = zip(*drawn, strict=True)
    assert len(drawn) == 4  # one an evaluation, one at the end
    assert set(truth) == {VALIDATION.tobytes()}
    assert len(set(colorized[:3])) == 3
    drawn.clear()
    monkeypatch.setattr(log, "FIRST", 0)
    curves = []
    monkeypatch.setattr(log, "write_curves", lambda _, lines, *__, **___: curves.append(len(lines)))
    loop.train(PHOTOS, VALIDATION, fitted(passes=3), tmp_path / "curves")
    assert curves[:2] == [0, 1]  # before the first evaluation, and at it
    drawn.clear()
    monkeypatch.setattr(log, "SELDOM", 1e9)
    loop.train(PHOTOS, VALIDATION, fitted(passes=3), tmp_path / "seldom")
    assert len(drawn) == 2


@pytest.mark.slow
@pytest.mark.req("TRN-070", "CMD-077")
def test_command_shows_where_it_is_and_ends_with_the_next_one(tmp_path, capsys):
    run = tmp_path / "run"
    tiny = [*TINY_RUN, "--steps", "40"]
    assert cli.main(["train", "samples", "--out", str(run), *tiny]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = r"\d+/40 steps  [+-]\S+ dB over gray, best [+-]\S+, \d+ photos/s, \d:\d\d:\d\d left"
    assert sum(re.fullmatch(shown, line) is not None for line in lines) >= 5
    phases = [line for line in lines if line.endswith(" …")]
    assert phases == ["reading photos …", "compiling …", "evaluating …", "saving …"]
    assert {"weights", "gray", "tint", "level tint"} <= {x.split("  ")[0] for x in lines}
    assert lines[-1].endswith(f"colorjax colorize PHOTO --weights {run}/weights.safetensors")
    assert "psnr" in json.loads((run / "evaluation.json").read_text())["summary"]["gray"]


@pytest.mark.req("EVL-023")
@pytest.mark.parametrize("same_unit", [True, False])
@pytest.mark.parametrize(("chunks", "evaluations"), [(0, 0), (2, 0), (90, 0), (90, 3)])
def test_curves_at_any_time(tmp_path, same_unit, chunks, evaluations):
    chunk_lines = [
        {"step": i + 1, "loss": None if i == 5 else 3.0 / (i + 1)} for i in range(chunks)
    ]
    lines = [
        {"step": 30 * i, "validation_loss": 1.0 / i, "validation_gain": i - 1.5}
        for i in range(1, evaluations + 1)
    ]
    path = tmp_path / "loss.png"
    report.write_curves(path, lines, chunk_lines, 60, same_unit=same_unit)
    with Image.open(path) as plot:
        reds = np.all(np.asarray(plot.convert("RGB")) == [214, 39, 40], -1)
        assert plot.size == (770, 495 if same_unit else 660)
    assert reds.any() == bool(evaluations)


@pytest.mark.req("TRN-071")
def test_tensorboard_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(colorjax.ColorjaxError, match=r"colorjax\[tensorboard\]") as caught:
        loop.train(PHOTOS, VALIDATION, fitted(), tmp_path / "run", tensorboard=True)
    assert caught.value.exit_code == 2


@pytest.mark.req("TRN-071")
def test_trace_and_events(tmp_path):
    run = tmp_path / "run"
    loop.train(PHOTOS, VALIDATION, fitted(), run, tensorboard=True, profile=4)
    (trace,) = run.glob("profile/plugins/profile/*/*.xplane.pb")
    assert trace.stat().st_size
    (events,) = (run / "tensorboard").iterdir()
    content = events.read_bytes()
    assert content.count(b"validation_loss") == 6
    assert b"utilization" in content


@pytest.mark.req("TRN-072")
def test_speed_is_logged(finished):
    _, outcome = finished
    for line in outcome.metrics:
        assert line["photos_per_second"] > 0
        assert 0 <= line["utilization"] < 1.5


@pytest.mark.req("TRN-072")
def test_operations_are_counted():
    weights, x = np.zeros((30, 40), np.float32), np.zeros((20, 30), np.float32)
    counted = devices.count_operations(jax.jit(lambda x, w: x @ w), x, weights)
    np.testing.assert_allclose(counted, 2 * 20 * 30 * 40, rtol=0.05)


@pytest.mark.slow
@pytest.mark.req("TRN-011", "TRN-016")
def test_one_photo_trains_without_validation(tmp_path):
    conf = config.fit_config(small("seed-relu"), photos=1, passes=3)
    outcome = loop.train(PHOTOS[:1], PHOTOS[:0], conf, tmp_path / "run")
    assert (conf.batch, outcome.metrics[-1]["step"]) == (1, 3)
    assert outcome.metrics[-1]["validation_loss"] is None
    assert (outcome.best_step, outcome.best_loss) == (3, outcome.metrics[-1]["train_loss"])
    kept, _ = colorjax.load_weights(tmp_path / "run" / "weights.safetensors")
    last, _ = colorjax.load_weights(tmp_path / "run" / "weights-last.safetensors")
    jax.tree.map(np.testing.assert_array_equal, kept, last)


@pytest.mark.req("TRN-017")
def test_only_color_teaches(tmp_path):
    rng = np.random.default_rng(7)
    Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no photo")
    found = datasets.load_photos([str(tmp_path)], 4)
    assert (found.names, found.gray) == (("a.png",), ("b.png",))
    assert len(found.failures) == 1
    assert "c.png" in found.failures[0]
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        colorjax.ColorjaxError,
        match=r"no color photos \(1 gray, 1 unreadable\); .*c\.png: not a photo",
    ):
        datasets.load_photos([str(tmp_path)], 4)


@pytest.mark.slow
@pytest.mark.req("TRN-009")
@pytest.mark.parametrize("name", PRESETS)
def test_presets_learn_real_photos(tmp_path, name):
    found = datasets.load_photos(["samples"], 16)
    conf = config.fit_config(colorjax.preset(name), photos=len(found.rgb), passes=60)
    outcome = loop.train(found.rgb, found.rgb[:0], conf, tmp_path / "run")
    gray = np.asarray(colorjax.rgb_to_gray(found.rgb))[..., None]
    copied = np.mean(np.sum((gray - found.rgb) ** 2.0, axis=(1, 2, 3)))
    assert outcome.metrics[-1]["train_loss"] < copied


@pytest.mark.slow
@pytest.mark.req("TRN-006", "TRN-015", "TRN-034", "TRN-035")
def test_photo_network_trains_and_resumes(tmp_path, caplog):
    slow_to_compile = (
        "orthochromatic",
        "tone_curve",
        "fading",
        "blur",
        "jpeg",
        "scratches",
        "stains",
        "halftone",
    )
    conf = photo_network.small(
        **{f"augment.{effect}": 0.0 for effect in slow_to_compile},
        **{"source_size": 24, "batch": 4, "optimizer.learning_rate": 3e-3},
    )
    rng = np.random.default_rng(9)
    gray = rng.integers(60, 200, (8, 24, 24, 1))
    rgb = (gray + np.array([40, 0, -40])).astype(np.uint8)
    conf = config.fit_config(conf, photos=8, steps=12)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with jax.log_compiles():
        outcome = loop.train(rgb, rgb[:2], conf, whole)
    assert steps_compiled(caplog) == ["Compiling jit(train_step)"]
    losses = [line["validation_loss"] for line in outcome.metrics]
    assert losses[-1] < losses[0]
    with pytest.raises(colorjax.ColorjaxError, match="interrupted"):
        loop.train(rgb, rgb[:2], conf, parts, progress=stopping(5))
    loop.train(rgb, rgb[:2], conf, parts, resume=True)
    for name in ("weights.safetensors", "weights-last.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
