"""What the README says can be done can be done."""

import pathlib
import re
import shlex

import pytest

from colorjax import cli

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.req("CMD-013")
def test_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    names = {}
    exec(code, names)
    assert names["coloured"].shape == (1200, 1600, 3)


@pytest.mark.req("CMD-013")
@pytest.mark.parametrize("line", re.findall(r"^    colorjax (.*)", TEXT, re.M))
def test_commands_parse(line):
    options = cli.make_parser().parse_args(shlex.split(line, comments=True))
    assert options.command in ("train", "colorize", "evaluate")


@pytest.mark.req("CMD-013")
def test_scripts_exist():
    for script in re.findall(r"scripts/([\w-]+)", TEXT):
        assert (ROOT / "scripts" / script).is_file()
