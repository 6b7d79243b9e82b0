"""The rule of what a command may write: nothing over an input, and nothing over what exists unless it was told to."""

import os
from collections.abc import Hashable, Iterable
from typing import Any

from colorjax.errors import OutputError, in_one_line

Place = str | os.PathLike[str] | int


class Claims:
    """The files that a command reads, and those that it is going to write."""

    def __init__(self, inputs: Iterable[Place] = ()) -> None:
        """Note what is read: paths, or descriptors of open files."""
        self.inputs: set[Hashable] = set()
        self.outputs: dict[Hashable, Any] = {}
        self.read(inputs)

    def read(self, inputs: Iterable[Place]) -> None:
        """Note more of what is read, before what is written."""
        self.inputs |= {identity(place) for place in inputs}

    def claim(self, path: Place, *, overwrite: bool = False, owner: Any = None) -> Any:
        """Note what is going to be written.

        Args:
            path: the file.
            overwrite: whether an existing file may be replaced.
            owner: for whom it is written.

        Returns:
            The owner of an earlier claim of the same file, if there is one, else `owner`.

        Raises:
            OutputError: it is an input, or exists and is not to be replaced.
        """
        place = identity(path)
        if place in self.inputs:
            raise OutputError(f"{in_one_line(path)}: is an input; expected another place")
        if not overwrite and not isinstance(path, int) and os.path.lexists(path):
            raise OutputError(f"{in_one_line(path)}: exists; expected a new name, or --overwrite")
        return self.outputs.setdefault(place, owner)

    def claim_alone(self, path: Place, *, overwrite: bool = False) -> None:
        """Note what is going to be written, by nothing else of the same run.

        Raises:
            OutputError: it is an input or another output, or exists and is not to be replaced.
        """
        own = object()
        if self.claim(path, overwrite=overwrite, owner=own) is not own:
            raise OutputError(
                f"{in_one_line(path)}: is another output, too; expected another place"
            )


def identity(place: Place) -> Hashable:
    """Return what two names of one file have in common, whatever links, mounts and cases of letters there are.

    Args:
        place: a path or the descriptor of an open file.

    Returns:
        Device and inode; of a file that is not there yet, those of its folder, and its name.
    """
    try:
        found = os.stat(place)
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        if isinstance(place, int):
            return place
        real = os.path.realpath(place)
        folder, name = os.path.split(real)
        return (identity(folder), name) if folder != real else real
