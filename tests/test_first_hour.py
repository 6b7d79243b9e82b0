"""What a new user meets first: the terminal's words, tables and defaults, and what the package says of itself."""

import argparse
import io
import json
import math
import os
import pathlib
import re
import sys
import tomllib
import webbrowser

import jax
import numpy as np
import pytest
from commanding import colorize
from pictures import encoded, scene
from rich.console import Console

import colorjax
from colorjax import cli
from colorjax.cli.console import Lines, Printer
from colorjax.cli.options import print_results
from colorjax.cli.train import _note
from colorjax.errors import UsageError
from colorjax.weights import load_record

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A gray photo in the folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(encoded(scene(24, 32)[..., 1], "PNG"))
    return tmp_path


def numbers(psnr):
    names = ("ssim", "auc", "ciede2000", "colorfulness", "warm", "truth_warm")
    return dict.fromkeys(names, 0.12345) | {
        "psnr": psnr,
        "psnr_pooled": psnr - 1,
        "gain": psnr - 23.5,
        "gain_pooled": psnr - 23.5,
        "gain_interval": 0.314,
        "loss": 6.671234e12,
        "truth_colorfulness": 33.3,
    }


@pytest.mark.req("CMD-070", "EVL-025")
@pytest.mark.parametrize("columns", ["80", None])
def test_tables_fit(columns, monkeypatch, capsys):
    if columns:
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stdout for a terminal
        monkeypatch.setenv("COLUMNS", columns)
    methods = {"weights": 25.0, "upper bound": 112.3, "gray": 23.5, "level tint": -5.0}
    summary = {name: numbers(psnr) for name, psnr in methods.items()}
    summary["mean photo"] = dict.fromkeys(summary["gray"])
    print_results(Printer(), {"summary": summary})
    text = capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    (ours,) = (line.split() for line in text.splitlines() if line.startswith("weights"))
    assert ours == "weights +1.50 +1.50 25.00 0.123 0.12 0.123 0.1 12% 6.67e+12".split()
    assert "mean photo" in text
    assert "33.3 and 12%" in text
    assert "± 0.31 dB" in text


@pytest.mark.req("CMD-071")
def test_a_photo_alone_is_colored(old, tiny_weights, capsys):
    assert cli.main(["old.png", "--weights", tiny_weights]) == 0
    assert (old / "old.color.png").exists()
    (old / "train").touch()
    parse = cli.make_parser().parse_args
    assert parse(["--vividness", "2", "old.png"]).command == "colorize"
    assert parse(["absent.jpg"]).command == "colorize"
    assert parse(["-"]).command == "colorize"
    assert parse(["train", "old.png", "--out", "run"]).command == "train"


@pytest.mark.req("CMD-071")
def test_nothing_shows_the_help(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([])
    assert left.value.code == 0
    assert "examples:\n  colorjax" in capsys.readouterr().out


@pytest.mark.req("CMD-072")
@pytest.mark.parametrize(
    ("arguments", "near", "shown"),
    [
        (["colorize", "old.jpg", "--vivdness", "2"], "--vividness", "colorjax colorize --help"),
        (["evaluate", "samples", "--sise=4"], "--size", "colorjax evaluate --help"),
        (["colorise", "old.jpg"], "colorize", "colorjax --help"),
        (["train", "samples", "--out", "run", "--qqqq"], None, "colorjax train --help"),
    ],
)
def test_near_misses(arguments, near, shown):
    with pytest.raises(UsageError) as error:
        cli.make_parser().parse_args(arguments)
    assert f"see {shown}" in str(error.value)
    assert ("did you mean" in str(error.value)) == bool(near)
    assert near is None or f"did you mean {near}?" in str(error.value)


@pytest.mark.req("CMD-073")
def test_a_single_photo(old, tiny_weights, capsys):
    command = ["old.png", "--weights", tiny_weights]
    assert colorize(*command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 colorized: old.color.png"
    assert colorize(*command, "--vividness", "2") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("0 colorized, 1 already there: old.color.png (")
    assert "--overwrite" in last
    assert "--out" in last
    assert "a second" not in last


@pytest.mark.req("CMD-073", "CMD-077")
@pytest.mark.parametrize(
    ("loss", "gain", "best", "validated", "note"),
    [
        (2.5, None, None, True, "3 photos/s"),
        (2.5, -0.5, 1.25, True, "-0.50 dB over gray, best +1.25, 3 photos/s"),
        (2.5, None, 1.25, True, "best +1.25, 3 photos/s"),  # resumed
        (2.5, None, None, False, "loss 2.5, 3 photos/s"),
        (math.nan, None, None, False, "3 photos/s"),
    ],
)
def test_training_shows_one_scale(loss, gain, best, validated, note):
    known = {"loss": loss, "gain": gain, "best_gain": best, "photos_per_second": 3.4}
    assert _note(known, validated=validated) == note


@pytest.mark.req("CMD-077")
def test_phases_on_a_terminal(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("colorjax.cli.console.time.monotonic", lambda: clock[0])
    console = Console(force_terminal=True, width=80, file=io.StringIO(), get_time=lambda: 0.0)
    printer = Printer()
    printer.console = console

    def shown():
        with console.capture() as capture:
            console.print(printer.bars)
        return re.sub(r"\x1b\[[0-9;]*m", "", capture.get())

    with printer.progress(40, "steps") as bar:
        bar.phase("compiling")
        clock[0] += 7
        assert "compiling, 7 s" in shown()
        bar(3, "+1.00 dB over gray, best +1.25, 12 photos/s")
        assert "3/40 steps" in shown()
        assert "+1.00 dB over gray, best +1.25, 12" in shown()
        bar.phase("reading photos")
        bar.count(5, 200)
        assert "5/200 steps" in shown()


@pytest.mark.req("CMD-077", "CMD-007")
def test_phases_in_plain_lines(capsys):
    lines = Lines(Printer(), 10, "photos")
    lines.phase("reading photos")
    for done in range(1, 2001):
        lines.count(done, 2000)
    lines.phase("reading photos")
    few = Lines(Printer(), 10, "photos")
    few.count(1, 2)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "reading photos …"
    assert [line.split()[0] for line in printed[1:]] == [f"{n}/2000" for n in range(200, 2001, 200)]


@pytest.mark.req("CMD-078")
@pytest.mark.parametrize("fault", ["run", "full", "file", "below", "tensorboard", "matplotlib"])
def test_said_before_photos_are_read(old, fault, monkeypatch):
    monkeypatch.setattr("colorjax.data.datasets.load_photos", lambda *_, **__: pytest.fail("read"))
    for name in ("run/config.json", "full/diary.txt", "file"):
        (old / name).parent.mkdir(exist_ok=True)
        (old / name).write_text("{}")
    out = {"below": "file/run", "tensorboard": "new", "matplotlib": "new"}.get(fault, fault)
    more = ["--tensorboard"] if fault == "tensorboard" else []
    monkeypatch.setitem(
        sys.modules, "matplotlib" if fault == "matplotlib" else "tensorboardX", None
    )
    assert cli.main(["train", "old.png", "--out", out, *more]) == 2
    assert not (old / "new").exists()


@pytest.mark.req("CMD-078")
@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize("held", [False, True])
def test_a_run_in_a_path_that_is_not_utf8_is_refused(old, capsys, held, resume):
    above = old / os.fsdecode(b"\xff")
    above.mkdir()
    if held:
        (above / "run").mkdir()
        (above / "run" / "config.json").write_text("{}")
    assert cli.main(["train", "old.png", "--out", str(above / "run"), *resume]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert r"/\udcff/run: its path is not UTF-8" in line
    assert (above / "run").exists() == held


@pytest.mark.req("CMD-078")
def test_a_folder_that_cannot_be_listed_is_no_run(old, capsys, monkeypatch):
    (old / "run").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode) and not mode & os.R_OK)
    assert cli.main(["train", "old.png", "--out", "run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "colorjax: run: cannot be listed; expected a folder that can be read"


@pytest.fixture
def asked(old, monkeypatch):
    """Return a function that runs `colorjax train` and returns what it asks the loop for."""
    calls = []

    def train(photos, validation, config, run, **options):
        calls.append((config, options))
        raise UsageError("enough")

    monkeypatch.setattr("colorjax.training.loop.train", train)

    def run(*options):
        assert cli.main(["train", "samples", "--out", "run", *options]) == 2
        return calls.pop()

    return run


@pytest.mark.req("CMD-079")
def test_training_starts_from_the_packaged_weights(asked, capsys):
    config, options = asked()
    packaged, packaged_config = colorjax.load_weights()
    assert config.network == packaged_config.network
    jax.tree.map(np.testing.assert_array_equal, options["initial_params"], packaged)
    assert (config.optimizer.learning_rate, config.batch, config.steps) == (2e-4, 4, 100)
    assert options["record"]["init_from"] == "packaged"
    assert "non-commercial" in options["record"]["license"]
    assert "non-commercial" in capsys.readouterr().out


@pytest.mark.req("QLT-006")
def test_training_from_free_weights_stays_free(asked, capsys):
    _, options = asked("--init-from", "photo-free")
    assert options["record"]["license"] == "Apache-2.0"
    assert "non-commercial" not in capsys.readouterr().out
    config, _ = asked("--learning-rate", "1e-3", "--passes", "3")
    assert (config.optimizer.learning_rate, config.steps) == (1e-3, 3)


@pytest.mark.req("CMD-079")
@pytest.mark.parametrize("options", [["--init-from", "random"], ["--preset", "seed-relu"]])
def test_training_from_scratch_is_asked_for(asked, options, capsys):
    config, given = asked(*options)
    preset = colorjax.preset("seed-relu" if "seed-relu" in options else "photo")
    assert given["initial_params"] is None
    assert (config.steps, config.optimizer) == (preset.steps, preset.optimizer)
    assert "license" not in given["record"]
    assert "terms" not in capsys.readouterr().out


@pytest.mark.req("CMD-074")
def test_in_color_already(old, tiny_weights, capsys):
    for name in ("one.png", "two.png"):
        (old / name).write_bytes(encoded(scene(24, 32), "PNG"))
    gray = np.repeat(scene(24, 32)[..., :1], 3, -1)
    (old / "sepia.png").write_bytes(encoded(gray, "PNG"))
    told = "already in color"
    for name, count in (("one.png", 1), ("old.png", 0), ("sepia.png", 0)):
        options = ["--weights", tiny_weights, "--out", f"out-{name}"]
        assert colorize(name, *options) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if told in line]
        assert len(lines) == count
        assert all(name in line for line in lines)
    options = ["--weights", tiny_weights, "--json", "all.json", "--out", "all"]
    assert colorize("one.png", "two.png", "old.png", *options) == 0
    assert "2 photos were already in color" in capsys.readouterr().out
    photos = json.loads((old / "all.json").read_text())["photos"]
    assert [photo.get("in_color", False) for photo in photos] == [True, True, False]
    kept = ["--keep-color", "--weights", tiny_weights, "--out", "kept.png"]
    assert colorize("one.png", *kept) == 0
    assert told not in capsys.readouterr().out


@pytest.mark.req("CMD-075")
def test_open(old, tiny_weights, monkeypatch, capsys):
    opened, answer = [], [True]
    monkeypatch.setattr(webbrowser, "open", lambda place: opened.append(place) or answer[0])
    weights = ["--weights", tiny_weights]
    assert colorize("old.png", "--open", *weights) == 0
    (old / "two.png").write_bytes((old / "old.png").read_bytes())
    assert colorize("old.png", "two.png", "--open", "--out", "both", *weights) == 0
    assert colorize("old.png", "--gallery", "pages", "--open", *weights) == 0
    expected = ["old.color.png", "both", "pages/index.html"]
    assert opened == [(old / name).as_uri() for name in expected]
    assert capsys.readouterr().err == ""
    answer[0] = False
    assert colorize("old.png", "--open", *weights) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert colorize("absent.png", "--open", *weights) == 1
    assert len(opened) == 4


@pytest.mark.req("CMD-076")
@pytest.mark.parametrize("command", ["train", "colorize", "evaluate", "archive", "app", "export"])
def test_help_states_defaults(command):
    for action in cli.make_parser().commands[command]._actions:
        if action.option_strings and action.default not in (None, False, [], argparse.SUPPRESS):
            assert "default" in action.help, action.option_strings


@pytest.mark.req("API-010")
def test_standing():
    project, tool = (
        tomllib.loads((ROOT / "pyproject.toml").read_text())[name] for name in ("project", "tool")
    )
    assert project["authors"]
    assert project["keywords"] == sorted(project["keywords"])
    assert project["license"].startswith("Apache-2.0 AND LicenseRef-")
    assert {"LICENSE", "colorjax/pretrained/LICENSE-WEIGHTS"} == set(project["license-files"])
    assert not any(name.startswith("License ::") for name in project["classifiers"])
    files = [*project["license-files"], "SECURITY.md", ".github/ISSUE_TEMPLATE/bug.yml"]
    assert all((ROOT / name).is_file() for name in files)
    readme = (ROOT / "README.md").read_text()
    shown = tool["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for change in shown["substitutions"]:
        readme = re.sub(change["pattern"], change["replacement"], readme)
    assert not re.search(r"\]\((?!https://)", readme)
    assert "all numbers" in readme
    assert f"\nversion: {colorjax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    hosted = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    for minor in (11, 12, 13, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in project["classifiers"]
        assert f'"3.{minor}"' in hosted
    assert "twine check --strict" in hosted


@pytest.mark.req("API-015")
def test_terms_of_every_collection():
    page = (ROOT / "spec" / "guide" / "licenses.md").read_text()
    collections = load_record()["collections"]
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| ([^|]+) \|", page, re.M)
    told = {name: int(count.replace(",", "")) for name, count, _ in rows}
    assert told == collections
    free = sum(told[name] for name, _, terms in rows if re.match(r"\*\*free", terms))
    total = sum(told.values())
    share = f"{free / total:.1%}".replace("%", " %")
    assert f"{free:,} of {total:,}** ({share})" in " ".join(page.split())
