"""The exceptions that colorjax raises on purpose: one tree, one clear line each."""

INTERRUPTED = "interrupted; what is done stays, the same command does the rest"


class ColorjaxError(Exception):
    """Base of all errors of this package; its text is one line that names the culprit.

    Attributes:
        exit_code: what the command exits with when this error ends it.
    """

    exit_code = 1


class UsageError(ColorjaxError):
    """The command itself, its options, its weights or its output place are wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A config field is unknown, of the wrong type, out of range or not finite."""


class WeightsError(UsageError):
    """A weights file is absent, corrupt, of another format or of another config."""


class HintError(UsageError):
    """Hints are of the wrong shape or type, outside their photo, or in a file that cannot be read."""


class OutputError(UsageError):
    """The place to write to exists already, cannot be written, or is an input."""


class BusyError(OutputError):
    """Another run is at work on the output."""


class PhotoError(ColorjaxError):
    """A photo file cannot be read: missing, empty, truncated, too large, not an image."""


class TooLargeError(PhotoError):
    """A photo has more pixels, frames or scans than the limit allows, which can be raised."""


class TruncatedError(PhotoError):
    """The end of a photo's file is missing; what is there can be opened on request."""


class NoPhotosError(ColorjaxError):
    """A place was searched and holds no photo."""


class CheckpointError(UsageError):
    """A run folder or its checkpoints do not fit what was asked, or cannot be read."""


class TrainingError(ColorjaxError):
    """Training cannot go on, such as when the loss is no longer finite."""


def in_one_line(text: object) -> str:
    """Return a text with all that would break its line escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
