"""Locks on folders, so that two processes do not work in the same one."""

import contextlib
import os
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[bool]:
    """Lock a folder while the block runs. The lock ends with the process, too, however it ends.

    Yields:
        Whether the folder is locked. Windows and some file systems have no such locks.

    Raises:
        BlockingIOError: another process has locked the folder.
        OSError: it is no folder, or a link to one, or cannot be opened.

    Example:
        >>> import tempfile
        >>> from colorjax.locks import locked
        >>> with tempfile.TemporaryDirectory() as folder, locked(folder) as held:
        ...     print("locked" if held else "not lockable")
        locked
    """
    if not fcntl:
        yield False
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        held = True
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            held = False
        yield held
    finally:
        os.close(opened)
