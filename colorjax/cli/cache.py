"""The cache of compiled programs."""

import os
import pathlib
import stat

import jax
import platformdirs


def use_compilation_cache() -> pathlib.Path | None:
    """Make JAX keep compiled programs in the user's cache folder, unless another folder is set already.

    Returns:
        The folder, or None if it cannot be made, belongs to another user, or is writable by others. Programs in the
        cache are executed, so nobody else may write to it.
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
