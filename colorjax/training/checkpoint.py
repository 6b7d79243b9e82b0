"""Checkpoints of a run. Only this module uses orbax."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from colorjax.errors import CheckpointError, OutputError

KEEP = 2  # the newest and the one before it
FORMAT = 3  # of a checkpoint; others are rejected
UNAWAITED = "coroutine '[^']*(read|restore|deserialize)\\w*' was never awaited"  # a read failed
SMALL = 1 << 20  # bytes; smaller arrays are stacked, because writing any array takes a millisecond


class Checkpoints:
    """The checkpoints of one run. As a context manager, it waits for pending writes.

    A checkpoint is a tree of arrays and a dict that JSON can hold. Small arrays of one shape are stacked. A checkpoint
    is written under a temporary name and renamed, so that the previous one survives a kill.
    """

    def __init__(self, folder: str | os.PathLike, digest: str):
        """Open the folder, and make it if necessary.

        Args:
            folder: The folder of the checkpoints.
            digest: Identifies the run to which the checkpoints belong.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.folder, self.digest = pathlib.Path(folder).absolute(), digest
        for name in ("absl", "asyncio"):  # orbax logs what it also raises
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", UNAWAITED, RuntimeWarning)
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = _report_unraisable
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, create=True)
        try:
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot keep checkpoints there ({error.strerror})"
            ) from None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, *_) -> None:
        with contextlib.suppress(OutputError) if kind else contextlib.nullcontext():
            self.wait()
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self._manager.close()

    def latest(self) -> int | None:
        """Return the step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, arrays: PyTree, facts: dict[str, Any]) -> None:
        """Write a checkpoint in the background. An existing one of the same step is kept.

        Raises:
            OutputError: this checkpoint, or the previous one, cannot be written.
        """
        if step == self.latest():
            return
        leaves = jax.tree.leaves(arrays)
        size = sum(leaf.nbytes for leaf in leaves)
        if shutil.disk_usage(self.folder).free < size:  # one clear line instead of orbax's many
            raise OutputError(f"{self.folder}: cannot be written ({os.strerror(errno.ENOSPC)})")
        stacked = _stack(leaves, _stacks(leaves))
        facts = {**facts, "format": FORMAT, "digest": self.digest, "arrays": _sums(stacked)}
        args = ocp.args.Composite(
            arrays=ocp.args.StandardSave(stacked),
            facts=ocp.args.JsonSave(facts | {"sha256": _sha256(facts)}),
        )
        with self._writing():
            self._manager.save(step, args=args)

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            OutputError: something could not be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # orbax raises anything on a full disk
            raise OutputError(f"{self.folder}: cannot be written ({_fault(error)})") from error

    def restore(self, step: int, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """Read a checkpoint.

        Args:
            step: The step of the checkpoint.
            like: A tree of arrays like the saved one. The result is placed on the same devices.

        Raises:
            CheckpointError: the checkpoint is damaged, or of another config or format. The message names the previous
                one.
        """
        facts = self._read(step, "facts", ocp.args.JsonRestore())
        if not isinstance(facts, dict):
            self.refuse(step, "cannot be read (its facts are not a JSON object)")
        if facts.get("format") != FORMAT:
            found = (
                f"is of format {facts.get('format')!s:.20} (this colorjax reads format {FORMAT})"
            )
            self.refuse(step, found)
        told = facts.get("sha256")
        if told != _sha256({name: facts[name] for name in facts if name != "sha256"}):
            self.refuse(step, "is damaged: its facts differ from those saved")
        if facts.get("digest") != self.digest:
            self.refuse(step, "is of another config")
        leaves, structure = jax.tree.flatten(like)
        stacks = _stacks(leaves)
        abstract = [_abstract([leaves[place] for place in places]) for places in stacks]
        arrays = self._read(step, "arrays", ocp.args.StandardRestore(abstract))
        if _sums(arrays) != facts.get("arrays"):
            self.refuse(step, "is damaged: its arrays differ from those saved")
        return jax.tree.unflatten(structure, _unstack(arrays, stacks)), facts

    def _read(self, step, name, args):
        """Return one part of a checkpoint."""
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{name: args}))[name]
        except Exception as error:  # orbax raises anything on damaged files
            self.refuse(step, f"cannot be read ({_fault(error)})")

    def refuse(self, step: int, what: str) -> NoReturn:
        """Reject a checkpoint.

        Args:
            step: The step of the checkpoint.
            what: What is wrong with it, in a few words.

        Raises:
            CheckpointError: always. The message names the previous checkpoint.
        """
        older = [s for s in self._manager.all_steps() if s < step]
        before = f"from the previous one, of step {max(older)}" if older else "from the start"
        raise CheckpointError(
            f"{self.folder}: the checkpoint of step {step} {what}; remove its folder to continue {before}"
        )


def _stacks(leaves: list[jax.Array]) -> tuple[tuple[int, ...], ...]:
    """Group the indices of arrays that are written as one. Large arrays, sharded arrays and keys stay alone."""
    groups: dict[Any, list[int]] = {}
    for place, leaf in enumerate(leaves):
        alone = leaf.nbytes >= SMALL or not leaf.sharding.is_fully_replicated
        alone |= jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        groups.setdefault(place if alone else (leaf.shape, leaf.dtype), []).append(place)
    return tuple(map(tuple, groups.values()))


def _abstract(members: list[jax.Array]) -> jax.ShapeDtypeStruct:
    """Return shape, dtype and sharding of a stack."""
    first = members[0]
    shape = (len(members), *first.shape) if len(members) > 1 else first.shape
    return jax.ShapeDtypeStruct(shape, first.dtype, sharding=first.sharding)


@partial(jax.jit, static_argnames="stacks")
def _stack(leaves: list[jax.Array], stacks: tuple[tuple[int, ...], ...]) -> list[jax.Array]:
    """Stack the arrays of each group."""
    groups = ([leaves[place] for place in places] for places in stacks)
    return [jnp.stack(members) if len(members) > 1 else members[0] for members in groups]


@partial(jax.jit, static_argnames="stacks")
def _unstack(arrays: list[jax.Array], stacks: tuple[tuple[int, ...], ...]) -> list[jax.Array]:
    """Undo `_stack`."""
    found = {}
    for array, places in zip(arrays, stacks, strict=True):
        found |= zip(places, array if len(places) > 1 else [array], strict=True)
    return [found[place] for place in sorted(found)]


def _sums(arrays: list[jax.Array]) -> list[str]:
    """Return a checksum of each array, which changes with any change of a single element."""
    lanes = jax.device_get(_bit_sums(arrays))
    return ["".join(f"{int(lane):08x}" for lane in each) for each in lanes]


@jax.jit
def _bit_sums(arrays: list[jax.Array]) -> list[jax.Array]:
    """Sum the scrambled bits of each array, twice, modulo 2³².

    The sums are computed on the devices that hold the arrays. Sums of integers do not depend on the order.
    """

    def one(array: jax.Array) -> jax.Array:
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        if array.dtype == bool:
            array = array.astype(jnp.uint8)
        word = jnp.dtype(f"uint{8 * min(array.dtype.itemsize, 4)}")
        bits = jax.lax.bitcast_convert_type(array, word).astype(jnp.uint32)
        place = jnp.zeros(bits.shape, jnp.uint32)
        for axis, side in enumerate(bits.shape):
            place = place * jnp.uint32(side)
            place += jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
        lanes = [_scramble(bits ^ _scramble(place + jnp.uint32(lane))) for lane in (1, 1 << 31)]
        return jnp.stack([lane.sum(dtype=jnp.uint32) for lane in lanes])

    return [one(array) for array in arrays]


def _scramble(bits: jax.Array) -> jax.Array:
    """Map 32 bits to 32 bits one to one, with fmix32 of MurmurHash3."""
    bits = (bits ^ bits >> 16) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> 13) * jnp.uint32(0xC2B2AE35)
    return bits ^ bits >> 16


def _sha256(facts: dict[str, Any]) -> str:
    """Return the digest of facts as JSON restores them. It is empty if they are nested too deeply."""
    try:
        text = json.dumps(json.loads(json.dumps(facts)), sort_keys=True)
    except RecursionError:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()


def _report_unraisable(unraisable: Any) -> None:
    """Report an exception as Python does, except follow-ups of an error that was raised."""
    text = str(unraisable.exc_value)
    if text != "Event loop is closed" and not text.startswith("Encountered error while reading"):
        sys.__unraisablehook__(unraisable)


def _fault(error: Exception) -> str:
    """Describe an error in a few words, with the text of the operating system if there is one."""
    told = re.search(r"os_error_code='(\d+)'", str(error))
    if told:
        return os.strerror(int(told[1]))
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:120]
