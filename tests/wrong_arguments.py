"""Call public functions with wrong arguments, and print what each raises: without the tests' type checks."""

import dataclasses
import json

import jax
import numpy as np
from PIL import Image

import colorjax

GRAY = np.full((48, 64), 128, np.uint8)
PACKAGED = colorjax.load_weights()
SEED = colorjax.preset("seed-relu")
LUMA, CHROMA, RGB = np.zeros((4, 5), np.int32), np.zeros((4, 5, 2)), np.zeros((4, 5, 3))


def step(batch, config):
    """Trace a step from the state of `SEED`."""
    state = jax.eval_shape(lambda: colorjax.init_state(jax.random.key(0), SEED))
    return jax.eval_shape(lambda state: colorjax.train_step(state, batch, config), state)


WRONG = {
    "five axes": lambda: colorjax.colorize(np.zeros((1, 1, 4, 4, 3), np.uint8)),
    "empty": lambda: colorjax.colorize(np.zeros((0, 4), np.uint8)),
    "integers": lambda: colorjax.colorize(np.zeros((4, 4), np.int64)),
    "strings": lambda: colorjax.colorize(np.array([["a"]])),
    "out of range": lambda: colorjax.colorize(np.full((4, 4), 200.0)),
    "NaN": lambda: colorjax.colorize(np.full((4, 4), np.nan)),
    "range": lambda: colorjax.colorize(np.zeros((4, 4)), value_range=(1, 1)),
    "range of integers": lambda: colorjax.colorize(np.zeros((4, 4), np.uint8), value_range=(0, 1)),
    "none": lambda: colorjax.colorize(None),
    "list": lambda: colorjax.colorize([[1, 2]]),
    "no file": lambda: colorjax.colorize("no-such-photo.jpg"),
    "deep PIL": lambda: colorjax.colorize(Image.new("F", (4, 4))),
    "tracer": lambda: jax.jit(colorjax.colorize)(GRAY),
    "weights": lambda: colorjax.colorize(GRAY, 5),
    "config as weights": lambda: colorjax.colorize(GRAY, colorjax.preset("photo")),
    "hints": lambda: colorjax.colorize(GRAY, hints=[(1, 2)]),
    "vividness": lambda: colorjax.colorize(GRAY, vividness="high"),
    "negative vividness": lambda: colorjax.colorize(GRAY, vividness=-1),
    "huge vividness": lambda: colorjax.colorize(GRAY, vividness=1e30),
    "vividness of variants": lambda: colorjax.colorize_variants(GRAY, vividness=float("nan")),
    "no temperature": lambda: colorjax.colorize(GRAY, temperature=0),
    "endless temperature": lambda: colorjax.colorize(GRAY, temperature=float("inf")),
    "temperature of variants": lambda: colorjax.colorize_variants(GRAY, temperature=-1.0),
    "gray without channels": lambda: colorjax.rgb_to_gray(np.zeros((4, 4))),
    "text as levels": lambda: colorjax.rgb_to_gray("abc"),
    "CIELAB of gray": lambda: colorjax.rgb_to_lab(np.zeros((4, 4))),
    "CIELAB of text": lambda: colorjax.rgb_to_lab("abc"),
    "CIELAB of complex levels": lambda: colorjax.rgb_to_lab(np.zeros(3, complex)),
    "RGB of a number": lambda: colorjax.lab_to_rgb(50.0),
    "swapped luma": lambda: colorjax.luma_chroma_to_rgb(CHROMA, LUMA),
    "luma of another size": lambda: colorjax.luma_chroma_to_rgb(LUMA[:3], CHROMA),
    "swapped gamut": lambda: colorjax.fit_gamut(CHROMA, LUMA),
    "RGB in the gamut": lambda: colorjax.fit_gamut(LUMA, RGB),
    "swapped light": lambda: colorjax.apply_chroma(CHROMA, LUMA),
    "light of another size": lambda: colorjax.apply_chroma(LUMA[1:], CHROMA),
    "light of floats": lambda: colorjax.apply_chroma(LUMA + 0.5, CHROMA),
    "light of text": lambda: colorjax.apply_chroma("light", CHROMA),
    "differences of two sizes": lambda: colorjax.ciede2000(RGB, RGB[:3]),
    "difference of chroma": lambda: colorjax.ciede2000(CHROMA, CHROMA),
    "difference of nothing": lambda: colorjax.ciede2000(None, RGB),
    "key": lambda: colorjax.init_params(5, colorjax.preset("seed-relu")),
    "swapped init": lambda: colorjax.init_params(colorjax.preset("seed-relu"), jax.random.key(0)),
    "forward swapped": lambda: colorjax.forward(np.zeros((16, 16)), PACKAGED[0], PACKAGED[1]),
    "forward params": lambda: colorjax.forward(
        PACKAGED[0], np.zeros((16, 16)), colorjax.preset("seed-relu")
    ),
    "forward config": lambda: colorjax.forward(PACKAGED[0], np.zeros((32, 32)), "photo"),
    "forward text": lambda: colorjax.forward(PACKAGED[0], "gray", PACKAGED[1]),
    "forward axes": lambda: colorjax.forward(PACKAGED[0], np.zeros(16), PACKAGED[1]),
    "pure swapped": lambda: colorjax.colorize_gray(np.zeros((16, 16)), *PACKAGED),
    "pure empty": lambda: colorjax.colorize_gray(PACKAGED[0], np.zeros((0, 16)), PACKAGED[1]),
    "loss shapes": lambda: colorjax.loss(
        PACKAGED[0], np.zeros((32, 32)), np.zeros((32, 31, 3)), PACKAGED[1]
    ),
    "loss swapped": lambda: colorjax.loss(
        PACKAGED[0], np.zeros((32, 32, 3)), np.zeros((32, 32)), PACKAGED[1]
    ),
    "state": lambda: colorjax.init_state(jax.random.key(0), None),
    "step state": lambda: colorjax.train_step(
        np.zeros((1, 16, 16, 3)), np.zeros((1, 16, 16, 3)), colorjax.preset("seed-relu")
    ),
    "step batch": lambda: colorjax.train_step(
        colorjax.init_state(jax.random.key(0), colorjax.preset("seed-relu")),
        np.zeros((1, 16, 16)),
        colorjax.preset("seed-relu"),
    ),
    "step of another config": lambda: step(np.zeros((2, 16, 16, 3)), colorjax.preset("seed-relu2")),
    "step parts": lambda: step(np.zeros((3, 16, 16, 3)), dataclasses.replace(SEED, accumulate=2)),
    "state of other params": lambda: colorjax.init_state(jax.random.key(0), SEED, PACKAGED[0]),
    "state of no params": lambda: colorjax.init_state(jax.random.key(0), SEED, "params"),
    "optimizer": lambda: colorjax.make_optimizer("adam"),
    "preset": lambda: colorjax.preset(3),
    "preset list": lambda: colorjax.preset(["photo"]),
    "fitted text": lambda: colorjax.fit_config("photo", photos=3),
    "fitted to nothing": lambda: colorjax.fit_config(SEED, photos=0),
    "fitted to half passes": lambda: colorjax.fit_config(SEED, photos=3, passes=1.5),
    "fitted to text": lambda: colorjax.fit_config(SEED, photos=3, passes="10"),
    "load": lambda: colorjax.load_weights(3),
    "save params": lambda: colorjax.save_weights("w.safetensors", 5, colorjax.preset("seed-relu")),
    "save config": lambda: colorjax.save_weights("w.safetensors", PACKAGED[0], "photo"),
}


WRONG["gradient"] = lambda: jax.grad(lambda x: colorjax.colorize(x).sum())(GRAY / 255)


def raised(call):
    """Return the kind and the text of what a call raises."""
    try:
        call()
    except Exception as error:
        return [isinstance(error, colorjax.ColorjaxError), str(error)]
    return [False, "nothing was raised"]


print(json.dumps({name: raised(call) for name, call in WRONG.items()}))
