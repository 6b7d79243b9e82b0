"""Archives through Ray: two workers, one of which dies."""

import os
import signal
import sys

import jax
import numpy as np
import pytest
from light import light_error
from PIL import Image

import colorjax
from colorjax import cli, weights
from colorjax.jobs import archive, planning
from colorjax.jobs.coloring import ColorOptions

COUNT = 16


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(COUNT):
        noise = np.random.default_rng(i).integers(0, 256, (40, 50), np.uint8)
        Image.fromarray(noise).save(folder / f"{i:02}.png")
    return folder


@pytest.mark.slow
@pytest.mark.req("CMD-040")
@pytest.mark.filterwarnings("ignore")
def test_a_worker_dies_and_no_photo_is_lost(album, tmp_path):
    pytest.importorskip("ray")
    conf = colorjax.preset("seed-relu")
    params = colorjax.init_params(jax.random.key(0), conf)
    weights.save_weights(tmp_path / "w.safetensors", params, conf)
    out = tmp_path / "out"
    jobs, _ = planning.plan([str(album)], str(out))
    found = []
    for done in archive.colorize_archive(
        jobs, tmp_path / "w.safetensors", ColorOptions(), workers=2
    ):
        found.append(done)
        if len(found) == 3:
            os.kill(done.process, signal.SIGKILL)
    assert sorted(done.name for done in found) == [f"{i:02}.png" for i in range(COUNT)]
    assert {done.status for done in found} <= {"done", "skipped"}
    assert len({done.process for done in found}) >= 2
    assert sorted(path.name for path in out.iterdir()) == [f"{i:02}.png" for i in range(COUNT)]
    for path in out.iterdir():
        gray = np.asarray(Image.open(album / path.name))
        rgb = np.asarray(Image.open(path))
        assert light_error(rgb, gray).max() <= 50
    assert cli.main(["archive", str(album), "--out", str(out), "--workers", "1", "--quiet"]) == 0


@pytest.mark.req("CMD-040", "CMD-042")
def test_a_worker_replaces_no_input_of_the_run(album, tmp_path):
    conf = colorjax.preset("seed-relu")
    params = colorjax.init_params(jax.random.key(0), conf)
    weights.save_weights(tmp_path / "w.safetensors", params, conf)
    inputs = sorted(map(str, album.iterdir()))
    worker = archive._Worker(tmp_path / "w.safetensors", ColorOptions(), True, 95, inputs)
    before = (album / "01.png").read_bytes()
    (tmp_path / "out").mkdir()
    for name in ("01.png", "new.png"):
        target = tmp_path / "out" / name
        if name == "01.png":
            os.link(album / name, target)
        row = {"source": inputs[0], "target": str(target), "name": name, "hints": ""}
        found = worker(row)
        assert found["status"] == ("failed" if name == "01.png" else "done")
        assert ("is an input" in found["error"]) == (name == "01.png")
    assert (album / "01.png").read_bytes() == before


@pytest.mark.req("CMD-040")
def test_what_another_run_works_on_is_counted(album, tmp_path, monkeypatch, tiny_weights, capsys):
    statuses = ["done", "busy", "skipped"]
    results = [archive.ArchiveResult(f"{each}.png", each, "", 1) for each in statuses]
    monkeypatch.setattr(archive, "colorize_archive", lambda *_, **__: results)
    command = ["archive", str(album), "--out", str(tmp_path / "out"), "--weights", tiny_weights]
    assert cli.main(command) == 0
    assert "1 done, 1 skipped, 1 busy, 0 failed" in capsys.readouterr().out


@pytest.mark.req("CMD-040")
def test_without_photos_nothing_is_started(tmp_path, tiny_weights, capsys):
    missing = str(tmp_path / "missing")
    command = ["archive", missing, "--out", str(tmp_path / "out"), "--weights", tiny_weights]
    assert cli.main(command) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.req("CMD-040")
def test_ray_is_an_extra(album, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(["archive", str(album), "--out", str(tmp_path / "out")]) == 2
    assert "colorjax[ray]" in capsys.readouterr().err
