"""The folder of a run: whose it is, its metrics, its pictures."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from colorjax import config as configs
from colorjax.config import Config
from colorjax.errors import CheckpointError, OutputError, TrainingError
from colorjax.photos import write_bytes


def make_manifest(config: Config, *, seed: int, photos: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a run the run that it is.

    Args:
        config: of the run.
        seed: of all its randomness.
        photos: JSON-able facts that tell its photos from others, such as a digest.

    Spec: TRN-013
    """
    return {"config": json.loads(configs.to_json(config)), "seed": seed, "photos": photos}


def digest(manifest: dict[str, Any]) -> str:
    """Return 64 hexadecimal digits that tell one manifest from another.

    Spec: TRN-041
    """
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def open_run(run: pathlib.Path, manifest: dict[str, Any], *, resume: bool) -> None:
    """Make the folder of a run, or check that it is this run's.

    Args:
        run: the folder; new, empty, or with a run of the same manifest to go on with.
        manifest: as `make_manifest` gives it.
        resume: whether there may be a run already.

    Raises:
        CheckpointError: a run is there and not to be gone on with, or another run.
        OutputError: the place holds other things, or cannot be written.

    Spec: TRN-010, TRN-013, TRN-040
    """
    file = run / "config.json"
    if file.exists() and not resume:
        raise CheckpointError(f"{run}: a run is there already; --resume goes on with it")
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run}: a file; expected a folder for the run")
    if not file.exists():
        if run.exists() and any(_is_foreign(path) for path in run.iterdir()):
            raise OutputError(
                f"{run}: a folder with other things in it; expected a new or empty one"
            )
        try:
            run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{run}: cannot make the folder ({error.strerror})") from None
        write_bytes(file, json.dumps(manifest, indent=1, sort_keys=True).encode())
        return
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from None
    old, new = dict(_leaves(found)), dict(_leaves(manifest))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            text = f"{run}: its {name} is {old.get(name)}, this command's is {new.get(name)}"
            if name.startswith("config."):
                weights = run / "weights.safetensors"
                text += f"; --init-from {weights} starts a new run from its weights"
            raise CheckpointError(text)


def _is_foreign(path: pathlib.Path) -> bool:
    """Tell whether a path is neither a file that a killed write left, nor the metrics of a run that never began."""
    return not path.name.endswith(".tmp") and path.name != "metrics.jsonl"


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for name, branch in tree.items():
        yield from _leaves(branch, f"{prefix}.{name}" if prefix else name)


def append_metrics(run: pathlib.Path, line: dict[str, Any]) -> None:
    """Add a line to the run's metrics.

    Raises:
        OSError: it cannot be written.

    Spec: TRN-010
    """
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def cut_metrics(run: pathlib.Path, step: int) -> None:
    """Drop the lines after a checkpoint's step, which the resumed run writes again, and a torn last line.

    Spec: TRN-012, TRN-040
    """
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    write_bytes(path, "".join(whole).encode(), overwrite=True)


@contextlib.contextmanager
def ending_cleanly(run: pathlib.Path) -> Iterator[None]:
    """Turn what the disk refuses into one line that says from where the run can go on.

    Raises:
        TrainingError: in place of an OSError or OutputError.

    Spec: TRN-042
    """
    try:
        yield
    except (OSError, OutputError) as error:
        steps = [int(p.name) for p in (run / "checkpoints").glob("*") if p.name.isdigit()]
        kept = f"the checkpoint of step {max(steps)} is whole" if steps else "nothing is saved yet"
        text = f"{run}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise TrainingError(f"{text}; {kept}: with room for more, --resume goes on") from None
