"""The dialogs of the page: what the keys do, and downloads."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

from colorjax.web.downloads import Job
from colorjax.web.studio import Item, Studio
from colorjax.web.takehome import SUFFIXES, Wanted
from colorjax.web.widgets import VALUE, button, component, text, ui

KEYS = (
    ("Click", "set the color of a place"),
    ("C", "choose a place with the keyboard"),
    ("B", "switch between the brush and single places"),
    ("Ctrl + Z", "undo"),
    ("Ctrl + Shift + Z, Ctrl + Y", "redo"),
    ("+ and −, Ctrl + wheel, pinch", "zoom"),
    ("0", "fit the photo to the window"),
    ("1", "100 %: one screen pixel per pixel of the photo"),
    ("Drag", "move a zoomed photo"),
    ("Page Up, Page Down", "previous photo, next photo"),
    ("Delete", "on a ring: remove its color"),
)
FORMATS = {
    "": "Same as the photo",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".avif": "AVIF",
}
THIS = {  # for each kind of file
    "photo": "this photo",
    "pages": "these pages",
    "animation": "this animation",
    "video": "this video",
}


def keys_dialog() -> Any:
    """Return a dialog that explains keys and gestures."""
    with ui.dialog() as dialog, ui.element("div").classes("sheet"):
        text("h2", "Keys and gestures")
        with ui.element("dl"):
            for key, does in KEYS:
                text("dt", key)
                text("dd", does)
        button("Close").on("click", dialog.close)
    return dialog.props('aria-label="Keys and gestures"')


class DownloadDialog:
    """A dialog that starts downloads and shows how far they are."""

    def __init__(self, studio: Studio, drop: Any, say: Callable[[str], None]) -> None:
        """Lay out the widgets.

        Args:
            studio: The files to download.
            drop: The component that asks for a folder and writes to it.
            say: Shows the person a message.
        """
        self.studio, self.drop, self.say = studio, drop, say
        self.wanted = Wanted()
        self.shown: list[Any] = []
        self.into_folder: set[str] = set()  # keys of downloads that are not in the browser's folder
        with ui.dialog() as self.dialog, ui.element("div").classes("sheet"):
            text("h2", "Download your photos")
            self._takes()
            with ui.element("details") as self.choices:
                text("summary", "Format and quality")
                with ui.element("div").classes("wanted"):
                    self._choices()
            text("p", "To color a folder on disk without this page: colorjax colorize FOLDER")
            self.jobs = ui.element("div").classes("jobs").props('role="status"')
            button("Close").on("click", self.dialog.close)
        self.dialog.props('aria-label="Download your photos"')
        self.open = self.dialog.open

    def show_item(self, item: Item) -> None:
        """Name the file that is shown by its kind and the format of its download."""
        video = item.kind == "video"
        suffix = item.suffix if video else self.wanted.suffix or item.suffix
        written = f" ({FORMATS.get(suffix) or suffix[1:].upper()})" if suffix else ""
        self.this.set_text(f"Download {THIS.get(item.kind, THIS['photo'])}{written}")
        self.choices.set_visibility(not video)
        for each in self.several:
            each.set_visibility(len(self.studio.items) > 1)

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Show the state of the latest downloads."""
        jobs = [job for job in jobs if job.told or job.key not in self.into_folder]
        shown = [
            (job.key, job.name, job.state, job.told, job.taken, job.done, job.total) for job in jobs
        ]
        if shown == self.shown:
            return
        self.shown = shown
        self.jobs.clear()
        with self.jobs:
            for job in jobs:
                with ui.element("p"):
                    _show_job(job)

    def _choices(self) -> None:
        text("label", "Format").props('for="format"')
        with ui.element("select").props('id="format"') as choice:
            for suffix, label in FORMATS.items():
                text("option", label).props(f'value="{suffix}"')
        choice.on("change", lambda event: self._want(suffix=event.args), js_handler=VALUE)
        text("label", "Quality of JPEG, WebP and AVIF").props('for="quality"')
        component("field")().props('type="number" id="quality" min="1" max="100" value="95"').on(
            "change", lambda event: self._want(quality=event.args), js_handler=VALUE
        )

    def _takes(self) -> None:
        with button("").classes("primary") as first:
            self.this = text("span", "Download this photo")
        first.on("click", functools.partial(self._take, "color"))
        with ui.element("div").classes("takes"):
            zipped, _, _ = [
                _take_button(label, does, functools.partial(self._take, what))
                for what, label, does in (
                    ("zip", "All as a zip", "each with its own settings"),
                    ("compare", "Compare picture", "before and after side by side"),
                    ("project", "Project file", "drop it here later to continue"),
                )
            ]
            folder = _take_button(
                "Into a folder",
                "all files, each under its own name",
                lambda event: self._take_into_folder(event.args),
                js_handler=f"async () => emit(await getElement({self.drop.id}).ask())",
            )
        self.several = [zipped, folder.classes("into-folder")]

    def _want(self, *, suffix: Any = None, quality: Any = None) -> None:
        if suffix is not None:
            self.wanted = self.wanted._replace(suffix=suffix if suffix in SUFFIXES else None)
            if item := self.studio.shown():
                self.show_item(item)
        if str(quality) in map(str, range(1, 101)):
            self.wanted = self.wanted._replace(quality=int(quality))

    async def _take(self, what: str) -> None:
        keys = list(self.studio.items)
        if what not in ("zip", "project"):
            keys = [key for key in keys if key == self.studio.current]
        if not keys:
            return
        job = self.studio.take(what, keys, self.wanted)
        await until_ended(job)
        if job.state == "done":
            ui.download.from_url(f"/take/{job.key}", job.name)
        if job.told and not self.dialog.value:  # otherwise the dialog says it
            self.say(job.told)

    async def _take_into_folder(self, chosen: Any) -> None:
        """Color each file, and let the browser save it in the chosen folder, whose number `ask` returned."""
        saved = 0
        for key in [*self.studio.items] if type(chosen) is int else []:
            if key not in self.studio.items:  # removed meanwhile
                continue
            job = self.studio.take("color", [key], self.wanted)
            self.into_folder.add(job.key)
            await until_ended(job)
            if job.told:
                self.say(job.told)
                continue
            made = f"/take/{job.key}", job.name
            failed = await self.drop.run_method("save", chosen, *made, timeout=600)
            if failed is None:  # the page is gone
                return
            if failed:
                self.say(f"{job.name}: {failed}")
            else:
                saved += 1
        if saved:
            self.say(f"{saved} saved")


async def until_ended(job: Job) -> None:
    """Wait until a download has ended. A thread that waits would keep the page from ending."""
    while not job.ended.is_set():
        await asyncio.sleep(0.1)


def _take_button(label: str, does: str, handler: Any, **options: Any) -> Any:
    """Add a button that starts a download."""
    with ui.element("button").props('type="button"') as made:
        text("b", label)
        text("span", does)
    return made.on("click", handler, **options)


def _show_job(job: Job) -> None:
    if job.state == "done":
        text("a", job.name).props(f'href="/take/{job.key}" download')
        text("span", "Saved to your downloads" if job.taken else "Ready")
    if job.told:
        text("span", job.told)
    if job.state == "working":
        text("span", f"{job.name or 'In progress'}: {job.done} of {job.total}")
        ui.element("progress").props(f'max="{job.total}" value="{job.done}" aria-label="Progress"')
