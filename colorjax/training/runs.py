"""The run folder: which run it belongs to, and its metrics."""

import contextlib
import hashlib
import json
import os
import pathlib
import reprlib
import shutil
from collections.abc import Iterator
from typing import Any

from colorjax import config as configs
from colorjax.config import Config
from colorjax.errors import CheckpointError, OutputError, TrainingError, in_one_line
from colorjax.jsontext import leaves, parse_json
from colorjax.locks import locked
from colorjax.photos import remove_temporaries, write_bytes

METRICS, CHUNKS = "metrics.jsonl", "chunks.jsonl"
COLUMNS = {  # the fields of each line
    METRICS: ("step", "pass", "train_loss", "train_objective", "validation_loss"),
    CHUNKS: ("step", "loss"),
}
COUNTS = {  # of photos in a manifest. Parts of the config follow from them
    "photos.training": "it was trained on {} photos, this command has {}",
    "photos.validation": "it was validated on {} photos, this command has {}",
}
DIGEST = "photos.digest"  # depends on the config and the seed


def make_manifest(config: Config, *, seed: int, photos: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that identify a run.

    Args:
        config: The config of the run.
        seed: The seed of all its randomness.
        photos: JSON-serializable facts that identify the photos, such as a digest.
    """
    return {"config": json.loads(configs.to_json(config)), "seed": seed, "photos": photos}


def digest(manifest: dict[str, Any]) -> str:
    """Return 64 hexadecimal digits that identify a manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def check_place(run: pathlib.Path, *, resume: bool) -> None:
    """Check that a folder can become or continue a run, without writing anything.

    Args:
        run: The folder.
        resume: Whether the folder may already hold a run.

    Raises:
        CheckpointError: the folder holds a run, and `resume` is not set.
        OutputError: the folder holds other files, or cannot be written or listed, or its path is not UTF-8.
    """
    try:
        str(run.absolute()).encode()
    except UnicodeEncodeError:
        text = "its path is not UTF-8, in which checkpoints cannot be written; expected another one"
        raise OutputError(f"{in_one_line(run)}: {text}") from None
    for name in ("config.json", *COLUMNS):
        if os.path.lexists(run / name) and not os.path.isfile(run / name):  # reading a pipe waits
            raise CheckpointError(f"{run / name}: not a file; expected one that a run wrote")
    if os.path.exists(run / "config.json"):
        if not resume:
            raise CheckpointError(f"{run}: already holds a run; use --resume to continue it")
        return
    there = next(place for place in (run, *run.absolute().parents) if os.path.exists(place))
    if not os.path.isdir(there):
        raise OutputError(f"{run}: cannot become a folder for the run, because {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"{run}: cannot be written ({there} permits no writing)")
    if there == run and not os.access(run, os.R_OK):
        raise OutputError(f"{run}: cannot be listed; expected a folder that can be read")
    if there == run and any(_is_foreign(path) for path in run.iterdir()):
        raise OutputError(f"{run}: a folder with other files; expected a new or empty one")


@contextlib.contextmanager
def open_run(run: pathlib.Path, manifest: dict[str, Any], *, resume: bool) -> Iterator[None]:
    """Make the folder of a run, or check that it belongs to this run. No other process can open it during the block.

    What kills left in it is removed. On Windows and file systems without locks, another process can open it, and
    nothing is removed.

    Args:
        run: The folder: new, empty, or with a run of the same manifest.
        manifest: The manifest, from `make_manifest`.
        resume: Whether the folder may already hold the run.

    Raises:
        CheckpointError: the folder holds another run, or a run and `resume` is not set, or another process has opened
            it.
        OutputError: the folder holds other files, or cannot be written.
    """
    check_place(run, resume=resume)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run}: cannot make the folder ({error.strerror})") from None
    with contextlib.ExitStack() as held:
        try:
            is_locked = held.enter_context(locked(run.resolve()))
        except BlockingIOError:
            raise CheckpointError(f"{run}: another process is training this run") from None
        except OSError as error:
            raise OutputError(f"{run}: cannot be opened ({error.strerror})") from None
        check_place(run, resume=resume)  # another process may have trained there meanwhile
        _match(run, manifest)
        if is_locked:  # else another process may be writing them
            _remove_unfinished(run)
        yield


def _match(run: pathlib.Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a new run, or compare it with that of an old one."""
    file = run / "config.json"
    if not os.path.exists(file):
        write_bytes(file, json.dumps(manifest, indent=1, sort_keys=True).encode())
        return
    try:
        found = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from None
    old, new = dict(leaves(found)), dict(leaves(manifest))
    names = [*COUNTS, *sorted({*old, *new} - {*COUNTS, DIGEST}), DIGEST]
    for name in names:
        if old.get(name) != new.get(name):
            was, wanted = (_short(side.get(name)) for side in (old, new))
            text = f"its {_short(name)} is {was}, that of this command is {wanted}"
            if name in COUNTS:
                text = COUNTS[name].format(was, wanted)
            elif name == DIGEST:
                text = "it was trained with other photos, or with the same in another order"
            elif name.startswith("config."):
                weights = run / "weights.safetensors"
                text += f"; --init-from {weights} starts a new run from its weights"
            raise CheckpointError(f"{run}: {text}")


def _remove_unfinished(run: pathlib.Path) -> None:
    """Remove what killed processes left in a run: temporary files, and unfinished checkpoints, as orbax names them."""
    remove_temporaries(run)
    for folder in (run / "checkpoints").glob("*.orbax-checkpoint-tmp*"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_foreign(path: pathlib.Path) -> bool:
    """Return whether a file comes from elsewhere: it is neither temporary nor the metrics of a run that never began."""
    return not path.name.endswith(".tmp") and path.name not in COLUMNS


def _short(value: Any) -> str:
    """Return a value as one short line."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return text if len(text) <= 80 and text.isprintable() else reprlib.repr(text)


def append_line(path: pathlib.Path, line: dict[str, Any]) -> None:
    """Append a line to `metrics.jsonl` or `chunks.jsonl` of a run.

    Raises:
        OSError: the file cannot be written.
    """
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def cut_lines(path: pathlib.Path, step: int) -> None:
    """Remove the lines after the step of a checkpoint, and an incomplete last line. The resumed run writes them again.

    Args:
        path: `metrics.jsonl` or `chunks.jsonl` of a run.
        step: The step of the checkpoint.

    Raises:
        CheckpointError: a line was not written by a run.
    """
    lines = path.read_bytes().splitlines(keepends=True) if os.path.exists(path) else []
    whole = []
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\n"):
            try:
                if _step(line) <= step:
                    _check_line(line, COLUMNS[path.name])
                    whole.append(line)
            except ValueError as error:
                raise CheckpointError(
                    f"{path}: line {number} was not written by a run ({error}); expected an intact file, or none"
                ) from None
    write_bytes(path, b"".join(whole), overwrite=True)


def _step(line: bytes) -> int:
    """Return the step of a line of metrics."""
    found = parse_json(line)
    if not isinstance(found, dict) or type(found.get("step")) is not int:
        raise ValueError("no step")
    return found["step"]


def _check_line(line: bytes, columns: tuple[str, ...]) -> None:
    """Check that a line of metrics holds numbers, and everything that the pictures need."""
    found = parse_json(line)
    for name in {*columns, *found}:
        if name not in found or type(found[name]) not in (int, float, type(None)):
            raise ValueError(f"{_short(name)} is not a number")


@contextlib.contextmanager
def report_write_errors(run: pathlib.Path) -> Iterator[None]:
    """Turn write errors into one line that says from where the run can be resumed.

    Raises:
        TrainingError: instead of an OSError or OutputError.
    """
    try:
        yield
    except (OSError, OutputError) as error:
        steps = [int(p.name) for p in (run / "checkpoints").glob("*") if p.name.isdigit()]
        kept = (
            f"the checkpoint of step {max(steps)} is complete" if steps else "nothing is saved yet"
        )
        text = f"{run}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise TrainingError(
            f"{text}; {kept}; free some space and use --resume to continue"
        ) from None
