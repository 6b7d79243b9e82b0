"""The command, run as a person runs it."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from light import light_error
from PIL import Image

from colorjax import cli
from colorjax.cli.options import COLUMNS

TINY = ["--preset", "seed-relu", "--size", "4", "--set", "network.hidden_multiple=1"]
TINY += ["--steps", "4", "--batch", "3"]


def picture(seed, height=21, width=33, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder of photos of many sizes and modes, in a tree."""
    folder = tmp_path_factory.mktemp("photos") / "album"
    (folder / "inner").mkdir(parents=True)
    rgb = Image.fromarray(picture(0))
    rgb.save(folder / "rgb.png")
    rgb.convert("L").save(folder / "gray.png")
    rgb.quantize(16).save(folder / "palette.png")
    rgb.convert("RGBA").save(folder / "inner" / "alpha.png")
    rgb.convert("CMYK").save(folder / "inner" / "cmyk.jpg")
    Image.fromarray(picture(1, channels=1)[..., 0].astype(np.uint16) * 257).save(
        folder / "deep.png"
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=turned)
    return folder


@pytest.fixture(scope="module")
def weights(album, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    assert cli.main(["train", str(album), "--out", str(run), *TINY]) == 0
    return str(run / "weights.safetensors")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.req("CMD-001", "CMD-002")
def test_folder_is_mirrored(album, weights, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert cli.main(["colorize", str(album), "--weights", weights, "--out", str(out)]) == 0
    assert files(out) == files(album)
    with Image.open(out / "turned.jpg") as turned:
        assert turned.size == (21, 33)
    assert "7 colorized" in capsys.readouterr().out
    assert cli.main(["evaluate", str(album), "--weights", weights]) == 0
    table = capsys.readouterr().out
    for row in ("weights", "gray", "tint", "level tint", "mean photo"):
        assert row in table
    for name, (heading, _) in COLUMNS.items():
        assert (heading.partition("\n")[0] in table) == (name != "lpips")


@pytest.mark.req("CMD-002", "CMD-008")
def test_names_of_outputs(weights, tmp_path, monkeypatch):
    photo = picture(2)[..., 0]
    for name in ("old.png", "older.png"):
        Image.fromarray(photo).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["colorize", "old.png", "--weights", weights]) == 0
    assert cli.main(["colorize", "old.png", "--weights", weights, "--out", "file.png"]) == 0
    assert (
        cli.main(["colorize", "old.png", "older.png", "--weights", weights, "--out", "both"]) == 0
    )
    assert cli.main(["colorize", str(tmp_path / "both"), "--weights", weights]) == 0
    expected = {"old.png", "older.png", "old.color.png", "file.png", "both/old.png"}
    expected |= {"both/older.png", "both/old.color.png", "both/older.color.png"}
    assert files(tmp_path) == expected
    rgb = np.asarray(Image.open("old.color.png"))
    assert rgb.shape == (21, 33, 3)
    assert light_error(rgb, photo).max() <= 50
    # once more: our own outputs are no inputs
    assert cli.main(["colorize", str(tmp_path / "both"), "--weights", weights]) == 0
    assert files(tmp_path) == expected


@pytest.mark.req("CMD-003")
def test_nothing_is_lost(weights, tmp_path, capsys):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        Image.fromarray(picture(3)).save(folder / "old.png")
    out = tmp_path / "out"
    command = ["colorize", *map(str, folders), "--weights", weights, "--out", str(out)]
    assert cli.main(command) == 2
    assert "would both be written" in capsys.readouterr().err
    assert not out.exists()

    before = (folders[0] / "old.png").read_bytes()
    over = ["colorize", str(folders[0]), "--weights", weights, "--out", str(folders[0])]
    assert cli.main(over) == 2
    assert cli.main([*over, "--overwrite"]) == 2
    assert (folders[0] / "old.png").read_bytes() == before

    (tmp_path / "kept.png").write_text("mine")
    one = ["colorize", str(folders[0] / "old.png"), "--weights", weights]
    assert cli.main([*one, "--out", str(tmp_path / "kept.png")]) == 0
    assert "1 already there" in capsys.readouterr().out
    assert (tmp_path / "kept.png").read_text() == "mine"
    assert cli.main([*one, "--out", str(tmp_path / "kept.png"), "--overwrite"]) == 0
    with Image.open(tmp_path / "kept.png") as written:
        assert written.size == (33, 21)


@pytest.mark.req("CMD-004", "TRN-017")
def test_failed_inputs_are_named_and_the_rest_is_done(album, weights, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.fromarray(picture(4)).save(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"not a photo")
    inputs = [str(tmp_path / "in"), str(tmp_path / "missing.png")]
    out = tmp_path / "out"
    assert cli.main(["colorize", *inputs, "--weights", weights, "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert files(out) == {"good.png"}
    assert len(captured.err.splitlines()) == 2
    assert "bad.png" in captured.err
    assert "missing.png" in captured.err
    assert "1 colorized, 2 failed" in captured.out
    assert cli.main(["evaluate", inputs[0], "--weights", weights]) == 1
    many = [inputs[0], *[str(album)] * 3]
    assert cli.main(["train", *many, "--out", str(tmp_path / "run"), *TINY]) == 1
    assert (tmp_path / "run" / "weights.safetensors").exists()


def broken(path, kind):
    """Make a file or folder that a command should refuse."""
    match kind:
        case "text":
            path.write_text("text")
        case "foreign":
            safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path)
        case "empty":
            path.mkdir()
        case "gray":
            path.mkdir()
            Image.fromarray(picture(5)[..., 0]).save(path / "gray.png")
    return str(path)


TRAIN = ["train", "samples", "--out", "RUN", "--preset", "seed-relu"]
BAD = {
    "unknown command": (["paint"], "paint"),
    "unknown option": ([*TRAIN, "--color", "1"], "--color"),
    "no photos": (["train", "--out", "RUN"], "PHOTOS"),
    "network of another preset": (
        ["train", "samples", "--out", "RUN", "--depth", "2"],
        "--preset seed-relu",
    ),
    "no out": (["train", "samples"], "--out"),
    "preset": ([*TRAIN, "--preset", "seed"], "'seed'"),
    "zero steps": ([*TRAIN, "--steps", "0"], "steps is 0"),
    "zero passes": ([*TRAIN, "--passes", "0"], "passes is 0"),
    "fractional passes": ([*TRAIN, "--passes", "1.5"], "passes is 1.5"),
    "steps and passes": ([*TRAIN, "--steps", "1", "--passes", "1"], "--passes"),
    "word for steps": ([*TRAIN, "--steps", "many"], "steps is 'many'"),
    "negative size": ([*TRAIN, "--size", "-4"], "size is -4"),
    "zero batch": ([*TRAIN, "--batch", "0"], "batch is 0"),
    "nan rate": ([*TRAIN, "--learning-rate", "nan"], "learning_rate is 'nan'"),
    "NaN rate": ([*TRAIN, "--learning-rate", "NaN"], "learning_rate is nan"),
    "infinite rate": ([*TRAIN, "--learning-rate", "1e999"], "learning_rate is inf"),
    "negative decay": ([*TRAIN, "--weight-decay", "-1"], "weight_decay is -1"),
    "activation": ([*TRAIN, "--hidden-activation", "gelu"], "gelu"),
    "depth": ([*TRAIN, "--depth", "0"], "depth is 0"),
    "set": ([*TRAIN, "--set", "color=1"], "color is not a field"),
    "set what": ([*TRAIN, "--set", "color"], "--set color"),
    "set value": ([*TRAIN, "--set", "augment.mirror=2"], "augment.mirror is 2"),
    "share": ([*TRAIN, "--validation", "1.5"], "--validation 1.5"),
    "validation": ([*TRAIN, "--validation", "nowhere"], "--validation nowhere"),
    "memory": ([*TRAIN, "--size", "256"], "million parameters; training needs about"),
    "seed": ([*TRAIN, "--seed", "-1"], "seed is -1"),
    "checkpoints": ([*TRAIN, "--checkpoint-every", "0"], "checkpoint-every is 0"),
    "profile": ([*TRAIN, "--profile", "-1"], "profile is -1"),
    "memory limit": ([*TRAIN, "--memory", "much"], "memory is 'much'"),
    "process": ([*TRAIN, "--coordinator", "127.0.0.1:1", "--processes", "0"], "processes is 0"),
    "no coordinator": ([*TRAIN, "--distributed", "--processes", "2"], "--coordinator"),
    "missing photos": (["train", "nowhere", "--out", "RUN"], "nowhere"),
    "empty folder": (["train", "{empty}", "--out", "RUN"], "empty"),
    "only gray": (["train", "{gray}", "--out", "RUN"], "no color photos"),
    "run in a file": (["train", "samples", "--out", "{text}"], "text"),
    "run below a file": (["train", "samples", "--out", "{text}/run"], "text/run"),
    "long name of a run": ([*TRAIN[:2], "--out", "n" * 300, *TRAIN[4:]], "too long"),
    "init from": ([*TRAIN, "--init-from", "nowhere"], "nowhere"),
    "init from another network": ([*TRAIN, "--init-from", "packaged"], "packaged: does not fit"),
    "device": ([*TRAIN, "--device", "abacus"], "abacus"),
    "no inputs": (["colorize", "--weights", "WEIGHTS"], "INPUT"),
    "empty input": (["colorize", "", "--weights", "WEIGHTS"], "inputs: empty"),
    "empty photos": (["train", "{gray}", "", "--out", "RUN"], "photos: empty"),
    "empty out": (["colorize", "{gray}", "--weights", "WEIGHTS", "--out", ""], "out: empty"),
    "empty json": (["colorize", "{gray}", "--weights", "WEIGHTS", "--json="], "json: empty"),
    "empty weights": (["colorize", "{gray}", "--weights", ""], "weights: empty"),
    "missing weights": (["colorize", "samples", "--weights", "nowhere"], "nowhere"),
    "text for weights": (["colorize", "samples", "--weights", "{text}"], "text"),
    "foreign weights": (["colorize", "samples", "--weights", "{foreign}"], "foreign"),
    "out is a file": (["colorize", "samples", "--weights", "WEIGHTS", "--out", "{text}"], "text"),
    "quality": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--quality", "101"],
        "quality is 101",
    ),
    "vividness": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--vividness", "-1"],
        "vividness is -1",
    ),
    "NaN vividness": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--vividness", "NaN"],
        "vividness is nan",
    ),
    "vividness beyond float32": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--vividness", "1e300"],
        "vividness is 1e+300",
    ),
    "digits of vividness": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--vividness", "1" + "0" * 399],
        "vividness is '1000",
    ),
    "nested variants": (
        ["colorize", "samples", "--weights", "WEIGHTS", "--variants", "[" * 100_000],
        "variants is '[[",
    ),
    "digits of a mix": ([*TRAIN, "--mix", "1" + "0" * 399], "mix is '1000"),
    "digits of memory": ([*TRAIN, "--memory", "1" + "0" * 399], "memory is '1000"),
    "evaluate size": (["evaluate", "samples", "--weights", "WEIGHTS", "--size", "0"], "size is 0"),
    "json place": (
        ["evaluate", "samples", "--weights", "WEIGHTS", "--json", "no/where"],
        "no/where",
    ),
}


INPUT_FAULTS = {"missing photos", "empty folder", "only gray"}  # the others are the command's


@pytest.mark.req("CMD-005")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case, weights, tmp_path, capsys, monkeypatch):
    arguments, named = BAD[case]
    monkeypatch.chdir(tmp_path)
    places = {kind: broken(tmp_path / kind, kind) for kind in ("text", "foreign", "empty", "gray")}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    filled = [a.format(**places).replace("WEIGHTS", weights) for a in arguments]
    code = cli.main(filled)
    captured = capsys.readouterr()
    assert code == (1 if case in INPUT_FAULTS else 2)
    assert len(captured.err.splitlines()) == 1, captured.err
    assert captured.err.startswith("colorjax: ")
    assert named in captured.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.req("CMD-006")
@pytest.mark.parametrize(
    "command", [[], ["train"], ["colorize"], ["evaluate"], ["app"], ["export"]]
)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--help"])
    assert left.value.code == 0
    assert " ".join(["examples:\n  colorjax", *command]) in capsys.readouterr().out


@pytest.mark.req("CMD-006")
def test_module_is_the_command():
    command = [sys.executable, "-m", "colorjax"]
    assert subprocess.check_output([*command, "--version"], text=True).startswith("colorjax ")
    bad = subprocess.run([*command, "paint"], capture_output=True, text=True)
    assert (bad.returncode, bad.stdout, len(bad.stderr.splitlines())) == (2, "", 1)


@pytest.mark.req("CMD-007")
def test_quiet_and_plain(album, tmp_path, capsys):
    train = ["train", str(album), *TINY]
    assert cli.main([*train, "--out", str(tmp_path / "quiet"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main([*train, "--out", str(tmp_path / "plain")]) == 0
    plain = capsys.readouterr().out
    assert "4/4 steps" in plain
    assert all(character.isprintable() or character == "\n" for character in plain)


@pytest.mark.slow
@pytest.mark.req("CMD-014")
def test_compiled_programs_are_kept(weights, tmp_path):
    Image.fromarray(picture(8)).save(tmp_path / "old.png")
    cache = tmp_path / "cache"
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "colorjax", "colorize", "old.png", "--weights", weights]

    def programs(*options):
        run = [*command, "--overwrite", *options]
        subprocess.run(run, check=True, cwd=tmp_path, env=environment, capture_output=True)
        return {path for path in cache.rglob("*") if path.name.endswith("-cache")}

    assert programs("--no-cache") == set()
    first = programs()
    assert first
    assert stat.S_IMODE((cache / "colorjax").stat().st_mode) == 0o700
    assert programs() == first
    for path in first:
        path.unlink()
    (cache / "colorjax").chmod(0o777)
    assert programs() == set()


@pytest.mark.req("CMD-009")
def test_compare_writes_a_sheet(weights, tmp_path):
    photo = picture(6)[..., 0]
    Image.fromarray(photo).save(tmp_path / "old.png")
    assert cli.main(["colorize", str(tmp_path / "old.png"), "--weights", weights, "--compare"]) == 0
    assert files(tmp_path) == {"old.png", "old.color.png", "old.compare.png"}
    sheet = np.asarray(Image.open(tmp_path / "old.compare.png"))
    color = np.asarray(Image.open(tmp_path / "old.color.png"))
    gap = 4
    bottom = sheet[-21 - gap : -gap]
    np.testing.assert_array_equal(bottom[:, :33], photo[..., None].repeat(3, -1))
    np.testing.assert_array_equal(bottom[:, 33 + gap : 66 + gap], color)


@pytest.mark.req("CMD-003", "CMD-009")
def test_sheets_are_outputs_too(weights, tmp_path, capsys):
    for name in ("old.png", "old.bmp"):
        Image.fromarray(picture(7)).save(tmp_path / name)
    command = ["colorize", str(tmp_path), "--weights", weights]
    assert cli.main([*command, "--compare"]) == 2
    assert "old.compare.png" in capsys.readouterr().err
    assert cli.main(command) == 0
    (tmp_path / "old.bmp").unlink()
    (tmp_path / "old.color.png").unlink()
    (tmp_path / "old.compare.png").write_text("mine")
    assert cli.main([*command, "--compare"]) == 0
    assert (tmp_path / "old.compare.png").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.req("CMD-010")
def test_any_field_is_an_option(album, tmp_path):
    options = [
        "--preset",
        "seed-relu",
        "--depth",
        "2",
        "--hidden-activation",
        "tanh",
        "--output-activation",
        "sigmoid",
    ]
    options += ["--size", "6", "--passes", "2", "--set", "network.copy_gray=false"]
    options += [
        "--set",
        "network.initial_scale=0.1",
        "--batch",
        "2",
        "--set",
        "network.hidden_multiple=1",
    ]
    assert cli.main(["train", str(album), "--out", str(tmp_path / "run"), *options]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert config["network"]["depth"] == 2
    assert config["network"]["copy_gray"] is False
    assert (config["size"], config["batch"], config["network"]["initial_scale"]) == (6, 2, 0.1)


@pytest.mark.req("CMD-001", "TRN-016")
def test_validation_folder(album, tmp_path, capsys):
    command = ["train", str(album), "--out", str(tmp_path / "run"), *TINY]
    assert cli.main([*command, "--validation", "samples"]) == 0
    assert (
        "5 photos to train on, 5 to validate, 3 without color left out" in capsys.readouterr().out
    )


@pytest.mark.req("CMD-011", "CMD-022")
@pytest.mark.parametrize("size", [[], ["--size", "12"]])
def test_evaluation_as_json(album, weights, tmp_path, size):
    path = tmp_path / "result.json"
    left = tmp_path / ".colorjax-0123456789abcdef.tmp"  # as if killed while writing
    left.write_bytes(b"half")
    assert cli.main(["evaluate", str(album), "--weights", weights, "--json", str(path), *size]) == 0
    assert not left.exists()
    result = json.loads(path.read_text())
    assert set(result["summary"]) >= {"weights", "gray", "tint", "level tint"}
    assert ("upper bound" in result["summary"]) == bool(size)
    assert len(result["photos"]) == 5
    assert {"loss", "psnr", "ssim"} <= set(result["photos"][0]["weights"])
    assert result["left_out"] == ["deep.png", "gray.png"]


@pytest.mark.req("EVL-016", "CMD-070")
def test_places_are_compared(album, weights, tmp_path, capsys):
    path, other = tmp_path / "result.json", tmp_path / ("a name of a folder" * 5)
    other.mkdir()
    Image.fromarray(picture(9)).save(other / "one.png")
    places = [str(album), str(other)]
    assert cli.main(["evaluate", *places, "--weights", weights, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert list(found["places"]) == places
    for place, count in zip(places, (5, 1), strict=True):
        ours, gray = (found["places"][place][how] for how in ("weights", "gray"))
        assert ours["photos"] == count
        assert ours["gain"] == pytest.approx(ours["psnr"] - gray["psnr"])
        assert (ours["gain_interval"] is None) == (count == 1)
    gains = [found["places"][place]["weights"]["gain"] for place in places]
    whole = found["summary"]["weights"]["gain"]
    assert whole == pytest.approx((5 * gains[0] + gains[1]) / 6)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert f"{gains[1]:+.2f}" in next(x for x in text.splitlines() if "name of a folder" in x)


@pytest.mark.req("INF-012")
def test_vividness_is_an_option(weights, tmp_path):
    photo = picture(9)[..., 0]
    Image.fromarray(photo).save(tmp_path / "old.png")
    command = ["colorize", str(tmp_path / "old.png"), "--weights", weights, "--vividness", "0"]
    assert cli.main(command) == 0
    with Image.open(tmp_path / "old.color.png") as written:
        np.testing.assert_array_equal(np.asarray(written), photo[..., None].repeat(3, -1))


@pytest.mark.req("CMD-012")
@pytest.mark.parametrize("command", ["colorize", "evaluate", "train"])
def test_samples_are_an_extra(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert cli.main([command, "samples", *(["--out", "run"] if command == "train" else [])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'colorjax[train]'" in line


@pytest.mark.req("CMD-012")
def test_samples(tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main(["train", "samples", "--out", str(run), *TINY]) == 0
    weights = str(run / "weights.safetensors")
    assert cli.main(["evaluate", "samples", "--weights", weights]) == 0
    out = tmp_path / "out"
    assert cli.main(["colorize", "samples", "--weights", weights, "--out", str(out)]) == 0
    assert "camera.png" in files(out)
    assert (
        cli.main(["train", "samples", "--init-from", weights, "--out", str(tmp_path / "on"), *TINY])
        == 0
    )


@pytest.mark.req("CMD-004", "TRN-012")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_interrupted_command_says_how_to_go_on(album, tmp_path, number, code):
    command = [
        sys.executable,
        "-m",
        "colorjax",
        "train",
        str(album),
        "--out",
        str(tmp_path / "run"),
    ]
    command += [*TINY[:-4], "--steps", "1000000", "--batch", "3"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert err.splitlines()[-1].startswith("colorjax: interrupted at step ")
    assert "--resume" in err
