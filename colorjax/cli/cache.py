"""Compiled programs, kept from one process to the next."""

import os
import pathlib
import stat

import jax
import platformdirs


def use_compilation_cache() -> pathlib.Path | None:
    """Make JAX keep compiled programs in the user's cache folder, unless it keeps them somewhere already.

    Returns:
        The folder; None if it could not be made, or belongs to another user, or others may write to it: what is read
        from it is run.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return pathlib.Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore[reportAttributeAccessIssue]
    folder = pathlib.Path(platformdirs.user_cache_dir("colorjax"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (
        status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder
