"""The scripts, on small work."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SCRIPTS = pathlib.Path(__file__).parent.parent / "scripts"


def run(name, *arguments, code=0):
    command = [sys.executable, SCRIPTS / name, *arguments]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == code, result.stdout + result.stderr
    return result


@pytest.fixture
def folders(tmp_path):
    """Training and test photos of noise."""
    for seed, name in enumerate(("train", "test")):
        (tmp_path / name).mkdir()
        for i in range(8):
            noise = np.random.default_rng([seed, i]).integers(0, 256, (20, 30, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.jpg")
    return tmp_path / "train", tmp_path / "test"


@pytest.mark.req("API-007")
def test_trace_names_each_fault(tmp_path):
    for folder in ("spec", "tests", "colorjax"):
        (tmp_path / folder).mkdir()
    (tmp_path / "spec" / "a.md").write_text("### AAA-001 One (MUST)\n### AAA-002 Two (MUST)\n")
    (tmp_path / "colorjax" / "a.py").write_text("def e():\n    pass\n\n\ndef f():\n    e()\n")
    test = 'import pytest\nfrom a import f\n\n\n@pytest.mark.req("AAA-001", "AAA-002")\ndef test_a():\n    f()\n'
    (tmp_path / "tests" / "test_a.py").write_text(test)
    clean = run("trace", "--root", tmp_path, "--matrix")
    assert "AAA-002 MUST\n    test_a.py::test_a\n        colorjax.a.f\n" in clean.stdout
    (tmp_path / "spec" / "b.md").write_text("### AAA-002 Again (MUST)\n### AAA-003 Three (MUST)\n")
    (tmp_path / "colorjax" / "b.py").write_text("def g():\n    pass\n")
    (tmp_path / "tests" / "test_b.py").write_text(test.replace("AAA-001", "AAA-009"))
    (tmp_path / "tests" / "test_c.py").write_text("def test_c():\n    pass\n")
    faults = run("trace", "--root", tmp_path, code=1).stderr
    for fault in (
        "AAA-002 is also at",
        "AAA-003 has no test",
        "unknown id AAA-009",
        "colorjax.b.g: no test reaches it",
        "test_c.py::test_c: names no requirement",
    ):
        assert fault in faults


@pytest.mark.req("TST-001")
def test_mutate_finds_its_modules_and_their_tests():
    tree = ast.parse((SCRIPTS / "mutate").read_text())
    (table,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES"
    ]
    root = SCRIPTS.parent
    for name, (files, tests) in table.items():
        assert any(list(root.glob(f"colorjax/**/{each}")) for each in files.split()), name
        assert all((root / "tests" / test).is_file() for test in tests.split()), name


@pytest.mark.slow
@pytest.mark.req("TRN-018")
def test_sweep_prints_and_plots(folders, tmp_path):
    out = tmp_path / "sweep"
    small = ["--size", "4", "--steps", "3", "--rates", "1e-4,1e-3", "--decays", "0,1"]
    assert "best: --learning-rate" in run("sweep", folders[0], "--out", out, *small).stdout
    assert np.shape(json.loads((out / "sweep.json").read_text())["validation_loss"]) == (2, 2)
    with Image.open(out / "sweep.png") as plot:
        assert np.ptp(np.asarray(plot.convert("L"))) > 100


@pytest.mark.slow
@pytest.mark.req("TRN-020")
def test_reproduce_writes_table_plot_and_sheet(folders, tmp_path):
    out = tmp_path / "reproduced"
    small = ["--size", "8", "--passes", "3", "--photos", "6"]
    run("reproduce", *folders, "--out", out, *small)
    assert {"results.md", "results.json", "loss.png", "sheet.png"} <= {
        p.name for p in out.iterdir()
    }
    results = json.loads((out / "results.json").read_text())
    assert {"seed-relu", "seed-tanh2", "gray", "level tint"} <= set(results)
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width == 7 * (128 + 4)


@pytest.mark.slow
@pytest.mark.req("TRN-019")
def test_bench_prints_ratios(folders):
    result = json.loads(run("bench", "seed", *folders, "--reference-passes", "1").stdout)
    assert result["train"]["times_faster"] > 0
    assert result["gray_and_layout"]["times_faster"] > 0
    assert result["preprocessing"]["of_pillow"] > 0


@pytest.mark.slow
@pytest.mark.req("TRN-074")
def test_bench_of_training(folders):
    result = json.loads(run("bench", "train", folders[0], "--steps", "4", "--repeats", "2").stdout)
    assert result["loader_over_step"]["memory"] > 0
    assert result["checkpoints_over_none"] > 0
    assert 0.9 < result["steps"][0]["peak_over_state_and_activations"] <= 2.2
    assert 0 < result["steps"][0]["utilization"] < 1.5


@pytest.mark.slow
@pytest.mark.req("CMD-081")
def test_demo_tells_the_truth(tmp_path):
    """In this environment, instead of one that the script would make."""
    (tmp_path / "demo").write_text((SCRIPTS / "demo").read_text())
    (tmp_path / "environment").write_text('set -euo pipefail\nroot="$PWD"\n')
    path = {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", tmp_path / "demo", tmp_path / "out"]
    shown = subprocess.run(
        command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    historic = lines.index(f"look at {tmp_path}/out/hopper.compare.png")
    assert historic < lines.index("reading photos …")
    seen, unseen = ({p.name for p in (tmp_path / "out" / f).iterdir()} for f in ("seen", "unseen"))
    assert len(seen) == 3
    assert len(unseen) == 2
    assert not seen & unseen
    assert shown.stdout.count("2 photos at 256 × 256") == 2  # by both networks
    for name in ("hopper.compare.png", "unseen.png", "run/loss.png"):
        assert (tmp_path / "out" / name).exists()
        assert f"{tmp_path}/out/{name}" in shown.stdout


@pytest.mark.req("TRN-063")
def test_slurm_example_starts_one_command_a_host(tmp_path):
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    command = [SCRIPTS / "train-slurm", "run", "a b", "c", "--", "--steps", "9"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    told = subprocess.run(list(map(str, command)), env=path, capture_output=True, text=True)
    expected = "colorjax train a b c --preset photo --distributed --resume --out run --steps 9\n"
    assert told.stdout == expected, told.stderr
    assert "Not tested: this script, Slurm" in (SCRIPTS / "train-slurm").read_text()


@pytest.mark.slow
@pytest.mark.req("TRN-076", "FIL-054", "FIL-056")
@pytest.mark.parametrize(("category", "count"), [("checkpoints", 20), ("weights", 100)])
def test_attack_finds_nothing_silent(category, count):
    result = run("attack", category, count, "--seed", 7)
    found = result.stdout
    assert result.stderr == ""
    assert "refused" in found
    assert not {"silent", "other", "lines"} & set(found.replace(":", " ").split())


@pytest.mark.slow
@pytest.mark.req("TRN-040", "CMD-022")
def test_attack_finds_no_difference_after_kills():
    found = run("attack", "kills", 4, "--seed", 7).stdout
    assert "the same (train, killed)" in found
    assert "the same (color, killed)" in found
    assert "different" not in found


@pytest.mark.slow
@pytest.mark.req("FIL-044")
def test_photos_take_the_memory_that_is_told():
    assert len(run("attack", "memory", 6).stdout.splitlines()) == 14


@pytest.mark.slow
@pytest.mark.req("FIL-040")
def test_more_pages_take_no_more_memory():
    assert len(run("attack", "pages", 1).stdout.splitlines()) == 2
