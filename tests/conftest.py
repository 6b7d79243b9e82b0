"""One set-up for all tests: two CPU devices, strict JAX, hypothesis profiles, a compilation cache."""

import os
import pathlib
import signal

import hypothesis
import jax
import pytest

ROOT = pathlib.Path(__file__).parent.parent

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup; processes would inherit it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

steady = hypothesis.settings.get_profile("ci")  # the same examples in each run
hypothesis.settings.register_profile("quick", steady, max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", steady, max_examples=50, deadline=None)
hypothesis.settings.register_profile("deep", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def network():
    """(params, config) of a tiny network that colors strongly."""
    from commanding import tiny_network

    return tiny_network()


@pytest.fixture(scope="session")
def tiny_weights(network, tmp_path_factory):
    """The path of its weights file."""
    from colorjax.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, *network)
    return str(path)
