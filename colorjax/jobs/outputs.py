"""Which files a command may write: never an input, and an existing file only with --overwrite."""

import os
from collections.abc import Hashable, Iterable
from typing import Any

from colorjax.errors import ExistsError, OutputError, in_one_line
from colorjax.photos import check_replaceable, remove_temporaries

Place = str | os.PathLike[str] | int


class Claims:
    """The files that a command reads and those that it will write."""

    def __init__(self, inputs: Iterable[Place] = ()) -> None:
        """Register the inputs: paths, or descriptors of open files."""
        self.inputs: set[Hashable] = set()
        self.outputs: dict[Hashable, Any] = {}
        self.read(inputs)

    def read(self, inputs: Iterable[Place]) -> None:
        """Register more inputs, before any output."""
        self.inputs |= {identity(place) for place in inputs}

    def claim(self, path: Place, *, overwrite: bool = False, owner: Any = None) -> Any:
        """Register a file that will be written.

        Args:
            path: The file.
            overwrite: Whether an existing file may be replaced.
            owner: The object for which it is written.

        Returns:
            The owner of an earlier claim to the same file, or else `owner`.

        Raises:
            OutputError: the file is an input.
            ExistsError: it exists and must not be replaced.
        """
        place = identity(path)
        if place in self.inputs:
            raise OutputError(f"{in_one_line(path)}: is an input; expected another output")
        if not overwrite and not isinstance(path, int) and os.path.lexists(path):
            raise ExistsError(
                f"{in_one_line(path)}: already exists; expected a new name or --overwrite"
            )
        return self.outputs.setdefault(place, owner)

    def claim_alone(self, path: Place, *, overwrite: bool = False) -> None:
        """Register a file that will be written and that belongs to no other claim.

        Temporary files that killed writers left in its folder are removed.

        Raises:
            OutputError: the file is an input or another output, or exists and must not be replaced, or the path names
                a folder, a pipe or a device.
        """
        if not isinstance(path, int):
            check_replaceable(path)
        own = object()
        if self.claim(path, overwrite=overwrite, owner=own) is not own:
            raise OutputError(f"{in_one_line(path)}: is also another output; expected another name")
        if not isinstance(path, int):
            remove_temporaries(os.path.dirname(path))


def identity(place: Place) -> Hashable:
    """Return a value that is equal for all names of a file, including links, mounts and other letter cases.

    Args:
        place: A path, or the descriptor of an open file.

    Returns:
        Device and inode. For a file that does not exist yet: those of its folder, and its name.
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
