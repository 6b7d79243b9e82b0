"""Named looks: the command's form of the page's row."""

import numpy as np
import pytest
from commanding import tiny_network
from photo_network import photo_weights
from pictures import encoded, scene

from colorjax import cli, photos
from colorjax.errors import ConfigError
from colorjax.inference import looks
from colorjax.jobs import coloring
from colorjax.jobs.coloring import ColorOptions
from colorjax.photos import Photo
from colorjax.weights import save_weights

GRAY = scene(48, 64)[..., 1]


def warmth(photo):
    return (photo.pixels[..., 0].astype(int) - photo.pixels[..., 2]).mean()


def colored(look, weights=None):
    weights = weights or photo_weights()
    options = ColorOptions(look=look)
    _, (frames,) = coloring.color_file(lambda: iter([Photo(GRAY)]), weights, lambda photo: options)
    return next(frames)


@pytest.mark.req("CMD-080")
def test_looks_are_what_they_are_called():
    found = {name: colored(name) for name in looks.LOOKS}
    assert warmth(found["cool"]) < warmth(found["natural"]) < warmth(found["warm"])
    strength = {
        name: np.ptp(photo.pixels.astype(int), axis=-1).mean() for name, photo in found.items()
    }
    assert strength["vivid"] > 1.2 * strength["natural"]
    for other in ("other-1", "other-2"):
        assert np.abs(found[other].pixels.astype(int) - found["natural"].pixels).mean() > 0.5
    natural = coloring.color_photo(Photo(GRAY), photo_weights())
    np.testing.assert_array_equal(found["natural"].pixels, natural.pixels)


@pytest.mark.req("CMD-080")
def test_dense_networks_have_their_own():
    weights = tiny_network()
    strength = [
        np.ptp(colored(name, weights).pixels.astype(int), axis=-1).mean()
        for name in ("soft", "natural", "vivid", "bold")
    ]
    assert strength == sorted(strength)
    with pytest.raises(ConfigError, match="natural, soft, vivid, bold"):
        colored("warm", weights)


@pytest.mark.req("CMD-080")
def test_frames_share_a_look():
    frames = [Photo(GRAY), Photo(GRAY // 2), Photo(GRAY)]
    options = ColorOptions(look="other-1")
    _, (found,) = coloring.color_file(lambda: iter(frames), photo_weights(), lambda photo: options)
    first, _, last = found
    assert np.abs(first.pixels.astype(int) - last.pixels).mean() < 3


@pytest.mark.req("CMD-080")
def test_the_command_takes_a_look(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(encoded(GRAY, "PNG"))
    save_weights("net.safetensors", *photo_weights())
    run = ["colorize", "old.png", "--weights", "net.safetensors"]
    assert cli.main([*run, "--look", "warm", "--out", "warm.png"]) == 0
    np.testing.assert_array_equal(photos.read_photo("warm.png").pixels, colored("warm").pixels)
    capsys.readouterr()
    assert cli.main(["colorize", "--list-looks", "--weights", "net.safetensors"]) == 0
    assert capsys.readouterr().out.split() == list(looks.LOOKS)
    assert not (tmp_path / "old.color.png").exists()
    for wrong in (["--look", "sepia"], ["--look", "warm", "--variants", "2"]):
        assert cli.main([*run, *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert cli.main(["colorize"]) == 2
    assert "INPUT" in capsys.readouterr().err
