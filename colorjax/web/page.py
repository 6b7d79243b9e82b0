"""The page: widgets that show the state of the studio and pass on what the person does. They process no photos."""

import asyncio
import functools
import pathlib
import types
from collections.abc import Callable
from typing import Any

from colorjax.web import looks, session
from colorjax.web.downloads import Job
from colorjax.web.samples import HERO, SAMPLES
from colorjax.web.session import Mark, Work
from colorjax.web.studio import Item, Studio
from colorjax.web.takehome import SUFFIXES, Wanted

try:
    import nicegui  # pyright: ignore[reportMissingImports]
    from nicegui.elements.mixins import text_element  # pyright: ignore[reportMissingImports]
except ImportError:  # the extra `app` is missing, which `app.serving` reports
    nicegui = text_element = None

ui: Any = getattr(nicegui, "ui", None)
TextElement: Any = getattr(text_element, "TextElement", None)
STATIC = pathlib.Path(__file__).parent / "static"
TITLE = "colorjax"
LOGO = (STATIC / "mark.svg").read_text()
EVERY = 0.15  # seconds between refreshes
FORMATS = {"": "Same as the photo", ".png": "PNG", ".jpg": "JPEG", ".webp": "WebP", ".tif": "TIFF"}
THIS = {  # for each kind of file
    "photo": "This photo",
    "pages": "These pages",
    "animation": "This animation",
    "video": "This video",
}
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


@functools.cache
def component(name: str) -> Any:
    """Return the element class of a component, which is a file in `static`."""
    return types.new_class(name, (ui.element,), {"component": STATIC / f"{name}.js"})


def add_page(studio: Studio) -> None:
    """Add a page at / that shows a studio."""

    @ui.page("/", title=TITLE, dark=None)
    def page() -> None:
        Page(studio)


class Page:
    """A page in a browser. All pages show the same studio."""

    def __init__(self, studio: Studio) -> None:
        """Lay out the widgets."""
        self.studio, self.seen = studio, -1
        self.marks_shown: tuple[Mark, ...] | None = None
        self.jobs_shown: list[Any] = []
        ui.colors(primary="#b4532a")
        ui.add_css(STATIC / "page.css")
        self.drop = component("drop")().on("told", lambda event: self._say(event.args))
        self._header()
        with ui.element("main"):
            self.welcome = component("welcome")().on(
                "sample", lambda event: studio.open_sample(event.args)
            )
            self.welcome.props["hero"] = HERO if HERO in studio.samples else None
            self.welcome.props["samples"] = [
                {"name": name, **SAMPLES[name]._asdict()} for name in studio.samples
            ]
            with ui.element("div").classes("work") as self.work:
                self._work()
        ui.timer(EVERY, self.refresh)
        self.refresh()

    # layout

    def _header(self) -> None:
        with ui.element("header").classes("top"):
            ui.html(f"{LOGO}<b>{TITLE}</b>", sanitize=False).classes("logo")
            with ui.element("div").classes("acts") as self.acts:
                _button("Add", "add_photo_alternate", 'aria-label="Add photos"').on(
                    "click", js_handler=_press("choose-files")
                )
                self.undo = _button("", "undo", 'aria-label="Undo" title="Undo (Ctrl + Z)"').on(
                    "click", lambda: self._set(session.undo)
                )
                self.redo = _button(
                    "", "redo", 'aria-label="Redo" title="Redo (Ctrl + Shift + Z)"'
                ).on("click", lambda: self._set(session.redo))
                _button("", "keyboard", 'aria-label="Keys" title="Keys"').on(
                    "click", self._dialog_of_keys().open
                )
                self.home = self._dialog_of_files()
                _button("Download", "download", 'aria-label="Download"').classes("main").on(
                    "click", self.home.open
                )

    def _work(self) -> None:
        self.stage = component("stage")()
        self.stage.on("mark", lambda event: self._mark(event.args))
        self.stage.on("unmark", lambda event: self._set(session.remove, event.args))
        self.stage.on("undo", lambda: self._set(session.undo))
        self.stage.on("redo", lambda: self._set(session.redo))
        self.looks = component("looks")().on("choose", lambda event: self._look(event.args))
        self.stage.props["photo"] = self.looks.props["photo"] = NOTHING
        self.looks.props["looks"] = [
            {"name": name, "label": look.label}
            for name, look in looks.looks(self.studio.weights[1]).items()
        ]
        with ui.element("aside").classes("panel").props('aria-label="Settings"'):
            with ui.element("div").classes("what"):
                self.name = _text("h1")
                self.what = _text("p")
            self.vividness = component("vividness")()
            self.vividness.on("change", lambda event: self._vivid(event.args))
            self.vividness.on(
                "attempt", js_handler=f"value => getElement({self.stage.id}).vivid(value)"
            )
            self.vividness.props["value"] = 1
            with ui.element("section") as self.set:
                _text("h2", "Colors you set")
                self.marks = ui.element("div").classes("marks")
                with ui.element("details"):
                    _text("summary", "Exact place")
                    self._exact()
        self.strip = component("strip")()
        self.strip.on("choose", lambda event: self.studio.select(event.args))
        self.strip.on("clear", self.studio.clear)
        self.strip.on("close", lambda event: self.studio.close(event.args))

    def _exact(self) -> None:
        """Add fields for a place in pixels."""
        with ui.element("div").classes("exact"):
            self.left, self.top, _ = [
                component("field")().props(f'type="{kind}" id="{name}" value="{value}" min="0"')
                for kind, name, label, value in (
                    ("number", "exact-left", "From the left", 0),
                    ("number", "exact-top", "From the top", 0),
                    ("color", "exact-color", "Color", "#b08060"),
                )
                if _text("label", f"{label}").props(f'for="{name}"')
            ]
            _button("Set this color", "", "").on(
                "click", lambda event: self._mark(event.args), js_handler=EXACT
            )

    def _dialog_of_keys(self) -> Any:
        with ui.dialog() as dialog, ui.element("div").classes("sheet"):
            _text("h2", "Keys and gestures")
            with ui.element("dl"):
                for key, does in KEYS:
                    _text("dt", key)
                    _text("dd", does)
            _button("Close", "", "").on("click", dialog.close)
        return dialog.props('aria-label="Keys and gestures"')

    def _dialog_of_files(self) -> Any:
        with ui.dialog() as dialog, ui.element("div").classes("sheet"):
            _text("h2", "Download your photos")
            with ui.element("div").classes("wanted"):
                _text("label", "Format").props('for="format"')
                with ui.element("select").props('id="format"') as choice:
                    for suffix, label in FORMATS.items():
                        _text("option", label).props(f'value="{suffix}"')
                choice.on("change", lambda event: self._want(suffix=event.args), js_handler=VALUE)
                _text("label", "Quality of JPEG and WebP").props('for="quality"')
                component("field")().props(
                    'type="number" id="quality" min="1" max="100" value="95"'
                ).on("change", lambda event: self._want(quality=event.args), js_handler=VALUE)
            self.wanted, self.labels = Wanted(), {}
            with ui.element("div").classes("takes"):
                for what, label, does in (
                    ("color", THIS["photo"], "in color, at full size"),
                    ("zip", "All as a zip", "each with its own settings"),
                    ("compare", "Compare picture", "before and after side by side"),
                    ("project", "Project file", "drop it here later to continue"),
                ):
                    button, self.labels[what] = _choice(label, does)
                    button.on("click", functools.partial(self._take, what))
                button, _ = _choice("Into a folder", "all files, each under its own name")
                button.on(
                    "click",
                    lambda event: self._take_into_folder(event.args),
                    js_handler=f"async () => emit(await getElement({self.drop.id}).ask())",
                )
            _text("p", "To color a folder on disk without this page: colorjax colorize FOLDER")
            self.jobs = ui.element("div").classes("jobs").props('role="status"')
            _button("Close", "", "").on("click", dialog.close)
        return dialog.props('aria-label="Download your photos"')

    # actions

    def _set(self, function: Callable[..., Work], *arguments: Any, **fields: Any) -> None:
        change = functools.partial(_applied, function, arguments, fields)
        self.studio.update(self.studio.current, change)
        self.refresh()

    def _look(self, name: Any) -> None:
        if name in list(looks.looks(self.studio.weights[1])):  # any value, also one without a hash
            self._set(session.change, look=name)

    def _vivid(self, value: Any) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError):
            return
        if session.is_vividness(number):
            self._set(session.change, vividness=number)

    def _mark(self, told: Any) -> None:
        mark = session.mark_from(told)
        number = told.get("instead")
        self._set(session.put, mark, number if type(number) is int else None)

    def _want(self, *, suffix: Any = None, quality: Any = None) -> None:
        if suffix is not None:
            self.wanted = self.wanted._replace(suffix=suffix if suffix in SUFFIXES else None)
        if str(quality) in map(str, range(1, 101)):
            self.wanted = self.wanted._replace(quality=int(quality))

    async def _take(self, what: str) -> None:
        keys = list(self.studio.items)
        if what not in ("zip", "project"):
            keys = [key for key in keys if key == self.studio.current]
        if not keys:
            return
        job = self.studio.take(what, keys, self.wanted)
        await asyncio.to_thread(job.ended.wait)
        if job.state == "done":
            ui.download.from_url(f"/take/{job.key}", job.name)
        if job.told and not self.home.value:  # otherwise the dialog says it
            self._say(job.told)

    async def _take_into_folder(self, chosen: bool) -> None:
        """Color each file, and let the browser save it in the chosen folder."""
        saved = 0
        for key in [*self.studio.items] if chosen else []:
            job = self.studio.take("color", [key], self.wanted)
            await asyncio.to_thread(job.ended.wait)
            if job.told:
                self._say(job.told)
            else:
                await self.drop.run_method("save", f"/take/{job.key}", job.name, timeout=600)
                saved += 1
        if saved:
            self._say(f"{saved} saved")

    def _say(self, text: Any) -> None:
        ui.notify(str(text), position="bottom", multi_line=True, timeout=8000, close_button="OK")

    # display

    def refresh(self) -> None:
        """Show the changes since the last refresh."""
        if self.seen == self.studio.revision:
            return
        self.seen = self.studio.revision
        told, item = self.studio.snapshot(), self.studio.shown()
        self.welcome.set_visibility(item is None)
        self.work.set_visibility(item is not None)
        self.acts.set_visibility(item is not None)
        self.strip.props["works"], self.strip.props["current"] = told["works"], told["current"]
        self.strip.props["unsaved"] = self.studio.unsaved()
        self._show_jobs(list(self.studio.jobs.values()))
        if item:
            self._show(item)

    def _show(self, item: Item) -> None:
        work, setting = item.work, item.work.setting
        marks = [
            {
                "color": mark.color,
                "name": looks.color_name(mark.color),
                "path": mark.path,
                "radius": mark.radius,
            }
            for mark in setting.marks
        ]
        photo = {
            "key": work.key,
            "name": work.name,
            "width": item.shape[1] or 4,
            "height": item.shape[0] or 3,
            "version": item.version,
            "base": f"{setting.vividness}-{hash(setting.marks)}",
            "ready": bool(item.shape[0]),
            "told": item.told,
            "failed": item.state == "failed",
            "marks": marks,
            "look": setting.look,
        }
        self.stage.props["photo"] = self.looks.props["photo"] = photo
        self.name.set_text(work.name)
        self.labels["color"].set_text(THIS.get(item.kind, THIS["photo"]))
        self.what.set_text("" if item.state == "failed" else item.told)
        self.vividness.props["value"] = setting.vividness
        self.left.props["max"], self.top.props["max"] = photo["width"] - 1, photo["height"] - 1
        for each in (self.vividness, self.set):
            each.set_visibility(item.state != "failed")
        _enable(self.undo, work.at > 0)
        _enable(self.redo, work.at < len(work.settings) - 1)
        if self.marks_shown != setting.marks:
            self.marks_shown = setting.marks
            self._show_marks(setting.marks)

    def _show_marks(self, marks: tuple[Mark, ...]) -> None:
        self.marks.clear()
        with self.marks:
            if not marks:
                _text("p", "Click the photo where you know the color, or brush over an area.")
            for number, mark in enumerate(marks):
                name = looks.color_name(mark.color)
                with ui.element("div").classes("set"):
                    ui.element("span").classes("dot").style(f"background: {_hex(mark.color)}")
                    _text("span", f"{name}{', area' if mark.radius else ''}")
                    _button("", "close", f'aria-label="Remove {name}"').on(
                        "click", functools.partial(self._set, session.remove, number)
                    )

    def _show_jobs(self, jobs: list[Job]) -> None:
        shown = [(job.key, job.name, job.state, job.told, job.done, job.total) for job in jobs]
        if shown == self.jobs_shown:
            return
        self.jobs_shown = shown
        self.jobs.clear()
        with self.jobs:
            for job in jobs:
                with ui.element("p"):
                    if job.state == "done":
                        _text("a", job.name).props(f'href="/take/{job.key}" download')
                        _text("span", "is ready")
                    if job.told:
                        _text("span", job.told)
                    if job.state == "working":
                        _text("span", f"{job.name or 'In progress'}: {job.done} of {job.total}")
                        ui.element("progress").props(
                            f'max="{job.total}" value="{job.done}" aria-label="Progress"'
                        )


def _applied(function: Callable[..., Work], arguments: Any, fields: Any, work: Work) -> Work:
    return function(work, *arguments, **fields)


def _button(label: str, icon: str, props: str) -> Any:
    with ui.element("button").props(f'type="button" {props}') as button:
        if icon:
            _text("i", icon).props('aria-hidden="true"')
        if label:
            _text("span", label)
    return button


def _choice(label: str, does: str) -> tuple[Any, Any]:
    """Return a button and its label."""
    with ui.element("button").props('type="button"') as button:
        shown = _text("b", label)
        _text("span", does)
    return button, shown


def _text(tag: str, text: str = "") -> Any:
    """Return an element with plain text, which is never read as HTML."""
    return TextElement(tag=tag, text=text)


def _enable(button: Any, enabled: bool) -> None:
    button.props["disabled"] = not enabled


def _press(name: str) -> str:
    return f"() => document.getElementById('{name}').click()"


def _hex(color: session.Color) -> str:
    return "#" + bytes(color).hex()


NOTHING = {
    "key": "",
    "name": "",
    "width": 4,
    "height": 3,
    "version": 0,
    "ready": False,
    "marks": [],
}
VALUE = "event => emit(event.target.value)"
EXACT = """() => {
  const value = name => document.getElementById('exact-' + name).value;
  const color = [1, 3, 5].map(at => parseInt(value('color').slice(at, at + 2), 16));
  const place = name => Math.min(value(name), document.getElementById('exact-' + name).max);
  emit({color, path: [[place('top'), place('left')]], radius: 0});
}"""
