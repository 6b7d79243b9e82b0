"""The errors that colorjax raises, each with one line of text, and a check of arguments."""

import reprlib

INTERRUPTED = "interrupted; finished outputs are kept; run the same command again to continue"


class ColorjaxError(Exception):
    """The base of all errors of this package. The text is one line that names the fault.

    Attributes:
        exit_code: The exit code of the command if this error ends it.
    """

    exit_code = 1


class UsageError(ColorjaxError):
    """The command, its options, its weights or its output are wrong."""

    exit_code = 2


class ArgumentError(UsageError):
    """A function got an argument of the wrong kind, shape or dtype."""


class ConfigError(UsageError):
    """A field of a config is unknown, of the wrong type, out of range or not finite."""


class WeightsError(UsageError):
    """A weights file is missing, damaged, or of another format or config."""


class HintError(UsageError):
    """Hints have the wrong shape or type, lie outside their photo, or are in a file that cannot be read."""


class OutputError(UsageError):
    """The output already exists, cannot be written, or is an input."""


class ExistsError(OutputError):
    """The output already exists and must not be replaced."""


class BusyError(OutputError):
    """Another run is working on the output."""


class PhotoError(ColorjaxError):
    """A photo file cannot be read: it is missing, empty, truncated, too large, or not an image."""


class TooLargeError(PhotoError):
    """A photo has more pixels, frames or scans than the limit, which can be raised."""


class TruncatedError(PhotoError):
    """The end of a photo file is missing. The rest can be opened on request."""


class NoPhotosError(ColorjaxError):
    """The inputs contain no photo."""


class CheckpointError(UsageError):
    """A run folder or its checkpoints do not fit the command, or cannot be read."""


class TrainingError(ColorjaxError):
    """Training cannot continue, for example because the loss is no longer finite."""


def missing_extra(what: str, extra: str) -> UsageError:
    """Return the error for missing packages of an extra. It says what to install."""
    return UsageError(
        f"{what} needs more packages; install them with: pip install 'colorjax[{extra}]'"
    )


def in_one_line(text: object) -> str:
    """Return a text in which every character that would break its line is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def check(fits: object, name: str, value: object, expected: str) -> None:
    """Raise an error if an argument does not fit.

    Raises:
        ArgumentError: `fits` is false. The text says what the value is and what is expected.
    """
    if not fits:
        raise ArgumentError(f"{name} is {described(value)}; expected {expected}")


def described(value: object) -> str:
    """Describe a value in a few words: an array by its shape and dtype, anything else by its type and beginning."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"an array of {' × '.join(map(str, shape)) or 'no axes'}, {dtype}"
    if value is None:
        return "None"
    kind = type(value).__name__
    if isinstance(value, str | bytes | int | float | complex | tuple):
        return f"{in_one_line(reprlib.repr(value))} ({kind})"
    return f"of type {kind}"


def is_numeric(value: object, axes: int, last: int | None = None, *, empty: bool = False) -> bool:
    """Return whether a value is an array of real numbers.

    Args:
        value: Any value.
        axes: The least number of axes.
        last: The size of the last axis, or None for any size.
        empty: Whether the array may be empty.
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(shape, tuple) or getattr(dtype, "kind", "O") not in "biufV":
        return False
    # bfloat16 and similar types are of kind V
    if getattr(dtype, "kind", "") == "V" and "float" not in str(dtype):
        return False
    if not empty and any(isinstance(side, int) and side == 0 for side in shape):
        return False  # a symbolic side counts as not empty
    return len(shape) >= axes and (last is None or shape[-1] == last)
