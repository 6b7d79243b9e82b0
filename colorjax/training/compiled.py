"""The jitted functions of a run, and the shardings of their arrays."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree, UInt8

from colorjax.config import Config, DenseConfig
from colorjax.training import devices
from colorjax.training.step import (
    EVALUATED,
    TrainState,
    evaluation_loss,
    init_state,
    train_chunk,
    train_step,
)


class CompiledTraining:
    """The jitted functions of a run: initialization, steps and evaluation.

    Attributes:
        config: The config of the run.
        mesh: The devices.
        operations: The floating-point operations of a step, as XLA counts them. None before the first step.
    """

    def __init__(self, config: Config):
        self.config, self.mesh = config, devices.training_mesh(config)
        self.operations: float | None = None
        everywhere = devices.replicated(self.mesh)
        shapes = jax.eval_shape(partial(init_state, config=config), jax.random.key(0))
        places = devices.parameter_shardings(shapes, self.mesh)
        # dense steps cost less than their dispatch, so a chunk is one scan; convolutions are far slower inside a loop
        # on CPUs, so the photo network takes one step after another
        self._scans = isinstance(config.network, DenseConfig)
        self._photos = devices.photo_sharding(self.mesh, steps=self._scans)
        self._everywhere = everywhere
        self._init = jax.jit(init_state, static_argnames="config", out_shardings=places)
        self._step = jax.jit(
            train_chunk if self._scans else train_step,
            static_argnames="config",
            donate_argnames="state",
            out_shardings=(places, everywhere),
        )
        self._evaluate = jax.jit(
            evaluation_loss, static_argnames="config", out_shardings=everywhere
        )
        # a copy, because the state is donated
        self.copy = jax.jit(partial(jax.tree.map, jnp.copy), out_shardings=places.averaged)
        self._gather = jax.jit(lambda tree: tree, out_shardings=everywhere)

    def start(self, key: PRNGKeyArray, params: PyTree | None) -> TrainState:
        """Return the state before the first step."""
        return self._init(key, config=self.config, params=params)

    def put(self, photos: UInt8[np.ndarray, "photos n n 3"]) -> list[Any]:
        """Copy validation photos to every device, in parts that are evaluated one by one."""
        starts = range(0, len(photos), EVALUATED)
        return [devices.put(photos[i : i + EVALUATED], self._everywhere) for i in starts]

    def step(
        self, state: TrainState, batches: UInt8[np.ndarray, "steps batch n n 3"]
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Take the steps of a chunk. The metrics of each step are copied to the host."""
        each = []
        with jax.transfer_guard("disallow"):
            for photos in [batches] if self._scans else batches:
                photos = devices.put(photos, self._photos)
                if self.operations is None:  # one iteration of a scan counts
                    self.operations = devices.count_operations(
                        self._step, state, photos, config=self.config
                    )
                state, metrics = self._step(state, photos, config=self.config)
                each.append(metrics)
            each = jax.device_get(each)
        return state, {name: np.hstack([metrics[name] for metrics in each]) for name in each[0]}

    def evaluate(self, state: TrainState, parts: list[Any]) -> float | None:
        """Return the mean loss of the averaged parameters over parts of photos, or None if there are no photos."""
        if not parts:
            return None
        with jax.transfer_guard("disallow"):
            losses = [self._evaluate(state.averaged, part, config=self.config) for part in parts]
            return np.average(jax.device_get(losses), weights=[len(p) for p in parts]).item()

    def fetch(self, params: PyTree) -> PyTree:
        """Return complete parameters on the host."""
        return jax.device_get(self._gather(params))
