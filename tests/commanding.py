"""The command as tests call it, and tiny weights for it."""

from colorjax import cli, init_params, preset
from colorjax import config as configs

CHANGES = {"size": 4, "network.hidden_multiple": 1, "network.copy_gray": False}

# options of `train` for a network that trains in a moment
TINY_RUN = ["--preset", "seed-relu", "--size", "4", "--set", "network.hidden_multiple=1"]


def tiny_network():
    """Return (params, config) of a tiny network that colors strongly."""
    import jax

    config = configs.replace(preset("seed-sigmoid"), CHANGES)
    params = init_params(jax.random.key(1), config)
    return jax.tree.map(lambda leaf: 30 * leaf, params), config


def colorize(*arguments):
    """Run `colorjax colorize` and return its exit code."""
    return cli.main(["colorize", *map(str, arguments)])


def files(folder):
    """Return the names of all files below a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
