"""Pictures of results: loss curves and comparison sheets."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from colorjax.photos import text_strip, write_bytes, write_photo

GAP = 4  # pixels between pictures
BACKGROUND = 24  # level
SMOOTHED = 40  # points of a smoothed curve


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
    path: str | os.PathLike,
    metrics: Sequence[dict[str, Any]],
    chunks: Sequence[dict[str, Any]],
    best_step: int,
    *,
    same_unit: bool,
) -> None:
    """Plot training and validation over steps, and mark the evaluation whose weights are kept.

    Args:
        path: The path of the PNG.
        metrics: The lines of `metrics.jsonl`, possibly none yet.
        chunks: The lines of `chunks.jsonl`, possibly none yet.
        best_step: The step to mark.
        same_unit: Whether training minimizes the squared RGB distance, or something that is shown with it, so that both
            share a panel. Otherwise the validation is shown as gain over gray in a panel of its own.
    """
    from matplotlib.figure import Figure  # importing it takes half a second

    figure = Figure(figsize=(7, 4.5 if same_unit else 6), layout="constrained")
    panels = figure.subplots(1 if same_unit else 2, sharex=True, squeeze=False).ravel()
    distance = "squared RGB distance per photo"
    panels[0].set(ylabel=distance if same_unit else "training objective")
    steps, losses = _known(chunks, "loss")
    panels[0].plot(steps, losses, "C0", alpha=0.25, linewidth=1)
    panels[0].plot(*_smoothed(steps, losses), "C0", label="training")
    steps, values = _known(metrics, "validation_loss" if same_unit else "validation_gain")
    panels[-1].plot(steps, values, "C1o-", markersize=4, label="validation" if len(steps) else None)
    kept = steps == best_step
    panels[-1].plot(
        steps[kept], values[kept], "C3o", markersize=8, label="kept" if kept.any() else None
    )
    if same_unit:
        panels[0].set(yscale="log", ylabel=f"{distance} (logarithmic)")
    else:
        panels[-1].set(ylabel="validation: gain over gray in dB")
        panels[-1].axhline(0, color="gray", linestyle=":", label="gray")
    panels[-1].set(xlabel="step")
    for axes in panels:
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    write_figure(path, figure)


def _known(
    lines: Sequence[dict[str, Any]], name: str
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the steps and the values of the lines that have a value of this name."""
    known = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    steps, values = np.array(known, np.float64).reshape(-1, 2).T
    return steps, values


def _smoothed(
    steps: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return the means of up to `SMOOTHED` parts of a curve, each of three values or more."""
    if len(values) < 3:
        return steps, values
    parts = np.array_split(np.arange(len(values)), min(len(values) // 3, SMOOTHED))
    means = np.array([[steps[part].mean(), values[part].mean()] for part in parts])
    return means[:, 0], means[:, 1]


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
