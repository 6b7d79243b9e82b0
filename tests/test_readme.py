"""The commands and the code in the README work as written."""

import io
import pathlib
import re
import shlex
import shutil
import sys

import numpy as np
import pytest
from commanding import files
from pictures import encoded, scene
from test_hintfiles import dots

from colorjax import cli

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    colorjax (.*)", TEXT, re.M)
TRAINED = "run/weights.safetensors"  # what the README's first training writes


@pytest.mark.slow
@pytest.mark.req("CMD-013")
def test_python_runs(desk):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.S):
        exec(code, names)
    assert (desk / "in color.jpg").exists()
    for name in ("known", "natural", "second", "third", "rgb"):
        assert names[name].shape == (48, 64, 3), name
    assert names["batch"].shape == (2, 48, 64, 3)
    assert 6 <= len(names["likely"]) <= 8


@pytest.mark.req("CMD-013")
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    options = cli.make_parser().parse_args(shlex.split(line.split("<")[0], comments=True))
    assert options.command in ("train", "colorize", "evaluate", "app", "export", "archive")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with everything that the README's commands name."""
    monkeypatch.chdir(tmp_path)
    gray = scene(48, 64)[..., 1]
    for name in ("old.jpg", "sepia.jpg", "album/scan-1.jpg", "album/inner/scan-2.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = gray if name != "sepia.jpg" else np.dstack([gray, gray - gray // 10, gray // 5 * 4])
        path.write_bytes(encoded(tone.astype(np.uint8), "JPEG"))
    (tmp_path / "dots.png").write_bytes(encoded(dots([{"x": 9, "y": 5, "rgb": "#205080"}]), "PNG"))
    for folder in ("my-photos", "other-photos"):
        (tmp_path / folder).mkdir()
        for seed in range(6):
            data = encoded(scene(130, 130, seed), "JPEG")
            (tmp_path / folder / f"{seed}.jpg").write_bytes(data)
    return tmp_path


def colorize_commands():
    return [line for line in COMMANDS if line.startswith("colorize") and TRAINED not in line]


@pytest.mark.req("CMD-013")
@pytest.mark.parametrize("line", colorize_commands())
def test_colorize_commands_run(desk, line, monkeypatch, capsysbinary):
    if "film.mp4" in line:
        if not shutil.which("ffmpeg"):
            pytest.skip("no ffmpeg here (Debian: apt-get install ffmpeg)")
        from test_video import make_video

        make_video(desk / "film.mp4", "-vf", "format=gray", frames=5)
    before = files(desk)
    arguments = shlex.split(line.split("<")[0], comments=True)
    if "<" in line:
        source = io.TextIOWrapper(io.BytesIO((desk / "old.jpg").read_bytes()))
        monkeypatch.setattr(sys, "stdin", source)
    assert cli.main(arguments) == 0
    if "<" in line:
        assert capsysbinary.readouterr().out[:2] == b"\xff\xd8"
    else:
        assert files(desk) > before


@pytest.mark.slow
@pytest.mark.req("CMD-013")
def test_training_commands_run(desk):
    """In the README's order, cut to a few steps."""
    for line in COMMANDS:
        arguments = shlex.split(line, comments=True)
        if arguments[0] == "train":
            length = ["--steps", "2", "--batch", "2"]
            if "--passes" in arguments:
                length = length[2:]
                arguments[arguments.index("--passes") + 1] = "1"
            if "--resume" in arguments:
                length[1] = "2"
            assert cli.main([*arguments, *length]) == 0, line
        elif arguments[0] == "evaluate" or TRAINED in arguments:
            assert cli.main(arguments) == 0, line


def run_with_extra(command, extra, module):
    """Run the README's lines of a command that needs an extra."""
    pytest.importorskip(module, reason=f"the extra `{extra}` is not installed")
    for line in COMMANDS:
        if line.startswith(command):
            assert cli.main(shlex.split(line, comments=True)) == 0, line


@pytest.mark.slow
@pytest.mark.req("CMD-013")
def test_export_commands_run(desk):
    run_with_extra("export", "export", "jax2onnx")


@pytest.mark.slow
@pytest.mark.req("CMD-013", "CMD-040")
@pytest.mark.filterwarnings("ignore")
def test_archive_commands_run(desk):
    run_with_extra("archive", "ray", "ray")
    assert files(desk / "colored") == {"scan-1.jpg", "inner/scan-2.jpg"}


@pytest.mark.req("CMD-013")
def test_scripts_and_pictures_exist():
    for script in re.findall(r"scripts/([\w-]+)", TEXT):
        assert (ROOT / "scripts" / script).is_file()
    for place in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / place).exists(), place
