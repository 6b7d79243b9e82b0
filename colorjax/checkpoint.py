"""Checkpoints of a run: the only user of orbax."""

import os
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from colorjax.errors import CheckpointError, OutputError

KEEP = 2  # the newest and the one before it


class Checkpoints:
    """The checkpoints of one folder; a context manager that waits for writes under way.

    A checkpoint is a tree of arrays and a JSON-able dict. It is written beside its final name and renamed, so that a
    kill leaves the one before it.
    """

    def __init__(self, folder: str | os.PathLike):
        """Open a folder, made if absent.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.folder = pathlib.Path(folder).absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, create=True)
        try:
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot keep checkpoints there ({error.strerror})"
            ) from None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def latest(self) -> int | None:
        """Return the step of the newest complete checkpoint, or None.

        Spec: TRN-012
        """
        return self._manager.latest_step()

    def save(self, step: int, arrays: PyTree, facts: dict[str, Any]) -> None:
        """Write a checkpoint in the background; one of the same step is kept as it is.

        Spec: TRN-012
        """
        if step != self.latest():
            args = ocp.args.Composite(
                arrays=ocp.args.StandardSave(arrays), facts=ocp.args.JsonSave(facts)
            )
            self._manager.save(step, args=args)

    def restore(self, step: int, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """Read a checkpoint.

        Args:
            step: of the checkpoint.
            like: a tree of arrays, or of their shapes, as was saved.

        Raises:
            CheckpointError: it is damaged or of another config; the line names the one before it.

        Spec: TRN-012, TRN-013
        """
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like
        )
        args = ocp.args.Composite(
            arrays=ocp.args.StandardRestore(abstract), facts=ocp.args.JsonRestore()
        )
        try:
            found = self._manager.restore(step, args=args)
        except Exception as error:  # orbax raises what it likes on damaged files
            older = [s for s in self._manager.all_steps() if s < step]
            before = f"; the one before it is of step {max(older)}" if older else ""
            fault = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self.folder}: the checkpoint of step {step} cannot be read ({fault}){before}"
            ) from None
        return found["arrays"], found["facts"]
