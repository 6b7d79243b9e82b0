"""The results of `colorjax colorize`: counted, listed for --json, and summed up in a line."""

import time
from typing import Any

from colorjax.cli.console import Printer
from colorjax.errors import TooLargeError, TruncatedError

STATUSES = ("done", "skipped", "busy", "failed")


class Tally:
    """Counts results of photos and videos, and prints errors."""

    def __init__(self, printer: Printer, failures: list[str], *, variants: int) -> None:
        self.printer, self.variants, self.start = printer, variants, time.monotonic()
        self.counts = dict.fromkeys(STATUSES, 0) | {"failed": len(failures)}
        self.photos: list[dict[str, Any]] = []
        self.videos: list[dict[str, Any]] = []
        self.outputs: list[str] = []  # existing ones
        self.in_color: list[str] = []  # photos that were already in color
        self.photo_seconds = 0.0
        self.exit_code = 1 if failures else 0
        for failure in failures:
            printer.error(failure)
            self.photos.append({"status": "failed", "error": failure})

    def note(self, result: Any) -> None:
        """Count a result."""
        self.counts[result.status] += 1
        kind, noted = ("video", self.videos) if result.job.is_video else ("photo", self.photos)
        noted.append({kind: str(result.job.source), "status": result.status})
        if kind == "photo":
            self.photo_seconds = time.monotonic() - self.start
        if result.truncated:
            self.printer.error(truncated_line(result.job.source))
            noted[-1]["truncated"] = True
        if result.in_color:
            self.in_color.append(str(result.job.source))
            noted[-1]["in_color"] = True
        if result.error is None:
            outputs = [str(path) for path in result.job.targets(self.variants)]
            noted[-1] |= {"output": outputs[0]} if self.variants == 1 else {"outputs": outputs}
            if result.status in ("done", "skipped"):
                self.outputs += outputs
            return
        text = str(result.error)
        if isinstance(result.error, TooLargeError):
            text += ", or a higher --max-megapixels"
        if isinstance(result.error, TruncatedError):
            text += ", or --allow-truncated to color what is there"
        self.printer.error(text)
        noted[-1]["error"] = text
        self.exit_code = max(self.exit_code, result.error.exit_code)

    def summary(self) -> dict[str, Any]:
        """Return all numbers so far, for `--json`."""
        numbers = {"seconds": time.monotonic() - self.start, "photos_per_second": self.rate()}
        return self.counts | numbers | {"photos": self.photos, "videos": self.videos}

    def rate(self) -> float:
        """Return the photos colored per second, until the videos began."""
        done = sum(photo["status"] == "done" for photo in self.photos)
        return done / self.photo_seconds if done else 0.0

    def line(self) -> str:
        """Return the summary in one line. For a single input it names the files and gives no rate."""
        alone = sum(self.counts.values()) == 1
        named = f": {', '.join(self.outputs)}" if alone else ""
        parts = [f"{self.counts['done']} colorized"]
        if self.counts["done"]:
            parts[0] += named
        if self.counts["skipped"]:
            advice = "--overwrite to replace"
            if alone:
                advice = "add --overwrite to replace it, or --out NAME to write another file"
            parts.append(f"{self.counts['skipped']} already there{named} ({advice})")
        if self.counts["busy"]:
            parts.append(f"{self.counts['busy']} in progress in another run")
        if self.counts["failed"]:
            parts.append(f"{self.counts['failed']} failed")
        if self.rate() and not alone:
            parts.append(f"{self.rate():.3g} photos per second")
        return ", ".join(parts)


def in_color_line(sources: list[str]) -> str:
    """Return the line about photos that were already in color."""
    if len(sources) == 1:
        found = f"{sources[0]}: already in color; its gray was colored"
        return f"{found} (--keep-color keeps its own color)"
    found = f"{len(sources)} photos were already in color; their gray was colored"
    return f"{found} (--keep-color keeps their own color)"


def truncated_line(source: object) -> str:
    """Return the warning about a photo whose end is missing."""
    return f"{source}: its end is missing; the rest was colored, the missing part is blank"
