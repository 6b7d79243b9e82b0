"""A small training, as a process that can be killed; it goes on with what its folder holds."""

import argparse
import os
import pathlib
import resource
import signal
import sys
import threading

import jax
import numpy as np

from colorjax import config, errors
from colorjax.config import preset
from colorjax.training import devices, log, loop

ROOT = pathlib.Path(__file__).parent.parent
PASSES = 10


def rgb_u8(seed, count):
    """Return photos that can be learnt: a random gray with a tint that falls with it."""
    gray = np.random.default_rng(seed).integers(30, 220, (count, 4, 4, 1))
    return np.clip(gray + np.array([30, 0, -30]), 0, 255).astype(np.uint8)


def small_config(**changes):
    """Return the config of the run: 3 steps a pass, 30 in all."""
    changes = {"size": 4, "batch": 4, "optimizer.learning_rate": 1e-3, "ema_decay": 0.9} | changes
    conf = config.replace(preset("seed-relu"), changes)
    return config.fit_config(conf, photos=11, passes=PASSES)


def run(folder, *, changes=None, **options):
    """Train, or go on."""
    return loop.train(
        rgb_u8(0, 11),
        rgb_u8(1, 3),
        small_config(**(changes or {})),
        folder,
        seed=5,
        resume=True,
        checkpoint_every=3,
        **options,
    )


def main():
    """Train; die as asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--die-at", type=int, help="step")
    parser.add_argument("--die-in-save", type=int, help="while the n-th checkpoint is written")
    parser.add_argument("--die-after", type=float, help="seconds from the first steps on")
    parser.add_argument("--pictures", action="store_true", help="draw them; half the time of a run")
    parser.add_argument("--file-limit", type=int, help="bytes: larger files fail from step 12 on")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="FIELD=INTEGER")
    parser.add_argument("--coordinator")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", options.devices)
    jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if not options.pictures:
        log.RunLogger.draw = lambda *_: None
    die = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    started = []

    def watch():
        while True:
            writing = options.folder.glob("checkpoints/*tmp*")
            number = sum(p.name.isdigit() for p in options.folder.glob("checkpoints/*"))
            if any(writing) and number >= min(options.die_in_save, 2):
                die()

    def progress(step, _):
        if options.die_at is not None and step >= options.die_at:
            die()
        if options.die_after is not None and not started:
            started.append(threading.Timer(options.die_after, die).start())
        if options.file_limit is not None and step >= 12:
            resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_limit, resource.RLIM_INFINITY))

    if options.die_in_save is not None:
        threading.Thread(target=watch, daemon=True).start()
    changes = {field: int(value) for field, value in (pair.split("=") for pair in options.set)}
    try:
        if options.coordinator:
            devices.join_processes(options.coordinator, options.processes, options.process)
        run(options.folder, changes=changes, progress=progress)
    except errors.ColorjaxError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
