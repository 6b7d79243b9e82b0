"""The devices that train, and how photos and parameters are distributed over them."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree, Shaped

from colorjax.config import Config, PhotoConfig
from colorjax.errors import ConfigError, UsageError

AXES = ("data", "shard")  # photos are split over both, parameters over the second
HEARTBEAT = 30  # seconds of silence after which a process counts as dead, and the others stop
PROBE, LARGE_PROBE = 1024, 8192  # sides of the matrices that measure a CPU and an accelerator


def join_processes(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Make this process one of several that train together. Call it before any other use of JAX.

    Args:
        coordinator: HOST:PORT of process 0. None if a cluster manager provides it (Slurm, Kubernetes, Cloud TPU, Open
            MPI).
        processes: The number of processes.
        process: The number of this process, from 0.

    Raises:
        UsageError: no cluster manager was found, or the other processes cannot be reached.
    """
    try:
        jax.distributed.initialize(
            coordinator, processes, process, heartbeat_timeout_seconds=HEARTBEAT
        )
    except (RuntimeError, ValueError) as error:
        where = coordinator or "the cluster"
        why = str(error).splitlines()[0][:160]
        raise UsageError(f"cannot join the processes of {where} ({why})") from None


def training_mesh(config: Config) -> Mesh:
    """Arrange the devices of all processes: photos are split over all of them, parameters over `config.shard`.

    A single process leaves out devices over which its batch cannot be split evenly. Several processes use all devices.

    Raises:
        ConfigError: there are fewer devices than `shard`, or several processes cannot split the batch evenly.
    """
    devices, shard = jax.devices(), config.shard
    photos = config.batch // config.accumulate
    if shard > len(devices):
        raise ConfigError(
            f"shard is {shard}; expected at most the number of devices, {len(devices)}"
        )
    counts = [n for n in range(len(devices), 0, -1) if photos % n == 0 and n % shard == 0]
    if not counts or (jax.process_count() > 1 and counts[0] < len(devices)):
        raise ConfigError(
            f"batch is {config.batch}; expected a multiple of {len(devices)} devices × {config.accumulate} accumulated"
            if jax.process_count() > 1
            else f"batch is {config.batch}; expected a multiple of shard × accumulate = {shard * config.accumulate}"
        )
    count = counts[0]
    chosen = devices[:count] if count < len(devices) else None
    types = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((count // shard, shard), AXES, types, devices=chosen)


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of arrays that every device holds completely."""
    return NamedSharding(mesh, PartitionSpec())


def parameter_shardings(shapes: PyTree, mesh: Mesh) -> PyTree:
    """Return the sharding of each leaf of a state: kernels are split over the second axis, the rest is replicated.

    Args:
        shapes: A tree of arrays or of their shapes.
        mesh: The mesh from `training_mesh`. If its second axis has one device, everything is replicated.
    """
    parts = mesh.shape["shard"]

    def place(leaf) -> NamedSharding:
        axes = [axis for axis, side in enumerate(leaf.shape) if side % parts == 0]
        if parts == 1 or leaf.ndim < 2 or not axes:
            return replicated(mesh)
        return NamedSharding(mesh, PartitionSpec(*[None] * axes[-1], "shard"))

    return jax.tree.map(place, shapes)


def photo_sharding(mesh: Mesh, *, steps: bool = False) -> NamedSharding:
    """Return the sharding of a batch of photos, or with `steps` of a chunk of batches."""
    return NamedSharding(mesh, PartitionSpec(*[None] * steps, AXES))


def own_slots(batch: int, mesh: Mesh) -> range:
    """Return the positions in a batch whose photos this process reads."""
    places = photo_sharding(mesh).addressable_devices_indices_map((batch,))
    parts = [part[0] for part in places.values() if part is not None]
    rows = sorted(row for part in parts for row in range(*part.indices(batch)))
    return range(rows[0], rows[-1] + 1)


def put(array: Shaped[np.ndarray, "..."], sharding: NamedSharding) -> Shaped[jax.Array, "..."]:
    """Copy an array to the devices. If it is sharded, each process copies its own part."""
    places = sharding.addressable_devices_indices_map(array.shape)
    parts = [jax.device_put(array[part], device) for device, part in places.items()]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)


def is_first() -> bool:
    """Return whether this is the process that writes and prints."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until all processes get here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def any_process(number: int) -> int:
    """Return the largest of the numbers that the processes pass."""
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.array(number))))


def count_operations(function: Callable, *arguments: Any, **options: Any) -> float:
    """Count the floating-point operations of a jitted function, as XLA estimates them. Loops count once."""
    cost = function.lower(*arguments, **options).cost_analysis()
    return float((cost or {}).get("flops", math.nan))


def operations_per_second(config: Config) -> float:
    """Measure the speed of a matrix product in the compute type of the network, on the first device of this process.

    Utilization is measured against this number. It is what the device can reach in practice.
    """
    return _matrix_speed(
        config.network.compute if isinstance(config.network, PhotoConfig) else "float32"
    )


@functools.cache
def _matrix_speed(dtype):
    """Return the operations per second of the fastest of three matrix products. It is measured once per process."""
    side = PROBE if jax.default_backend() == "cpu" else LARGE_PROBE
    square = jnp.ones((side, side), dtype)
    multiply = jax.jit(jnp.matmul)
    multiply(square, square).block_until_ready()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        multiply(square, square).block_until_ready()
        times.append(time.perf_counter() - started)
    return 2 * side**3 / min(times)
