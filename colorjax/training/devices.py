"""Which devices train, and which part of photos and parameters lies on which."""

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

AXES = ("data", "shard")  # both share photos out; the second also parameters
HEARTBEAT = 30  # seconds of silence after which a process counts as gone, and the others stop
PROBE, LARGE_PROBE = 1024, 8192  # sides of the matrices that measure a CPU, and an accelerator


def join_processes(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Make this process one of several that train together; call it before any other use of JAX.

    Args:
        coordinator: HOST:PORT of process 0; None where the cluster tells (Slurm, Kubernetes, Cloud TPU, Open MPI).
        processes: how many there are.
        process: which this is, from 0.

    Raises:
        UsageError: no cluster tells, or the others cannot be reached.
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
    """Lay the devices of all processes out: photos over all of them, parameters over `config.shard`.

    One process leaves devices out that its batch cannot be shared out to evenly; several use all.

    Raises:
        ConfigError: there are too few devices for `shard`, or several processes cannot share the batch evenly.
    """
    devices, shard = jax.devices(), config.shard
    photos = config.batch // config.accumulate
    if shard > len(devices):
        raise ConfigError(
            f"shard is {shard}; expected at most the {len(devices)} devices there are"
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
    """Return the sharding of what each device has a copy of."""
    return NamedSharding(mesh, PartitionSpec())


def parameter_shardings(shapes: PyTree, mesh: Mesh) -> PyTree:
    """Return for each leaf of a state where it lies: kernels in parts over the second axis, the rest everywhere.

    Args:
        shapes: a tree of arrays or of their shapes.
        mesh: of `training_mesh`; if its second axis has one device, all is replicated.
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
    """Return the places of a batch whose photos this process reads."""
    places = photo_sharding(mesh).addressable_devices_indices_map((batch,))
    parts = [part[0] for part in places.values() if part is not None]
    rows = sorted(row for part in parts for row in range(*part.indices(batch)))
    return range(rows[0], rows[-1] + 1)


def put(array: Shaped[np.ndarray, "..."], sharding: NamedSharding) -> Shaped[jax.Array, "..."]:
    """Copy an array to the devices; of one that lies in parts each process copies its own."""
    places = sharding.addressable_devices_indices_map(array.shape)
    parts = [jax.device_put(array[part], device) for device, part in places.items()]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)


def is_first() -> bool:
    """Tell whether this is the process that writes and prints."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Return when all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def any_process(number: int) -> int:
    """Return the largest of the numbers that the processes ask with."""
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.array(number))))


def count_operations(function: Callable, *arguments: Any, **options: Any) -> float:
    """Count the floating-point operations of a jitted function as XLA estimates them; loops count once."""
    cost = function.lower(*arguments, **options).cost_analysis()
    return float((cost or {}).get("flops", math.nan))


def operations_per_second(config: Config) -> float:
    """Measure what this process's first device reaches in a matrix product of the network's compute type.

    It is what utilization is counted against: of a CPU nobody else knows the peak, and of an accelerator it is what
    can be had.
    """
    return _matrix_speed(
        config.network.compute if isinstance(config.network, PhotoConfig) else "float32"
    )


@functools.cache
def _matrix_speed(dtype):
    """Return the operations a second of the best of three matrix products; measured once a process."""
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
