"""Pictures of results: loss curves and comparison sheets."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from colorjax.photos import text_strip, write_bytes, write_photo

GAP = 4  # pixels between pictures
BACKGROUND = 24  # level


def make_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "h w 3"]]], labels: Sequence[str], *, zoom: int = 1
) -> UInt8[np.ndarray, "H W 3"]:
    """Arrange pictures in rows under column labels.

    Args:
        rows: The pictures. Those of a row have one height, those of a column one width.
        labels: One for each column.
        zoom: Each pixel becomes a square of this side.

    Returns:
        The sheet. It contains the pixels of every picture unchanged.
    """
    rows = [[np.kron(p, np.ones((zoom, zoom, 1), np.uint8)) for p in row] for row in rows]
    widths = [picture.shape[1] + GAP for picture in rows[0]]
    lines = [text_strip(labels, widths, 18)]
    for row in rows:
        framed = [np.pad(p, [(0, GAP), (0, GAP), (0, 0)], constant_values=BACKGROUND) for p in row]
        lines.append(np.concatenate(framed, axis=1))
    return np.concatenate(lines)


def write_samples(
    path: str | os.PathLike,
    truth: UInt8[np.ndarray, "photos n n 3"],
    gray: UInt8[np.ndarray, "photos n n"],
    colorized: UInt8[np.ndarray, "photos n n 3"],
) -> None:
    """Write a sheet of true, gray and colorized photos, one row each, enlarged to about 128 pixels."""
    zoom = max(1, 128 // truth.shape[1])
    rgb_gray = np.repeat(gray[..., None], 3, -1)
    rows = list(zip(truth, rgb_gray, colorized, strict=True))
    sheet = make_sheet(rows, ["truth", "gray", "colorized"], zoom=zoom)
    write_photo(path, sheet, overwrite=True)


def write_curves(
    path: str | os.PathLike, metrics: Sequence[dict[str, Any]], best_pass: float
) -> None:
    """Plot training and validation loss over passes, and mark the pass whose weights are kept.

    Args:
        path: The path of the PNG.
        metrics: The lines of `metrics.jsonl`.
        best_pass: The pass to mark.
    """
    from matplotlib.figure import Figure  # importing it takes half a second

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    passes = [line["pass"] for line in metrics]
    for name, label in (("train_loss", "training"), ("validation_loss", "validation")):
        if metrics[0][name] is not None:
            axes.plot(passes, [line[name] for line in metrics], label=label)
    if metrics[0]["train_loss"] is None:  # the objective has another unit
        other = axes.twinx()
        other.plot(passes, [line["train_objective"] for line in metrics], "C1", label="training")
        other.set(ylabel="training objective")
    axes.axvline(best_pass, color="gray", linestyle=":", label="kept")
    axes.set(xlabel="pass over the photos", ylabel="squared RGB distance per photo", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    write_figure(path, figure)


def write_figure(path: str | os.PathLike, figure: Any) -> None:
    """Write a matplotlib figure as a PNG, completely or not at all."""
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    write_bytes(path, file.getvalue(), overwrite=True)


def read_metrics(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Read the lines of `metrics.jsonl`."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
