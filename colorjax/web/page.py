"""The page: widgets that show the state of the studio and pass on what the person does. They process no photos."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

from colorjax import photos
from colorjax.jobs import ffmpeg
from colorjax.web import looks, session
from colorjax.web.dialogs import DownloadDialog, keys_dialog
from colorjax.web.names import color_name
from colorjax.web.samples import HERO, SAMPLES
from colorjax.web.session import Work
from colorjax.web.studio import Item, Studio
from colorjax.web.takehome import PROJECT
from colorjax.web.widgets import STATIC, button, component, text, ui

TITLE = "colorjax"
LOGO = (STATIC / "mark.svg").read_text()
OPENED = [*itertools.chain(*photos.SUFFIXES.values()), *ffmpeg.SUFFIXES, PROJECT]
EVERY = 0.15  # seconds between refreshes


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
        ui.colors(primary="#b4532a")
        ui.add_css(STATIC / "page.css")
        self.drop = component("drop")().on("told", lambda event: self._say(event.args))
        self.drop.props["suffixes"] = OPENED
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
                button("Add", "add_photo_alternate", 'aria-label="Add photos"').on(
                    "click", js_handler=_press("choose-files")
                )
                self.undo = button("", "undo", 'aria-label="Undo" title="Undo (Ctrl + Z)"')
                self.redo = button("", "redo", 'aria-label="Redo" title="Redo (Ctrl + Shift + Z)"')
                button("", "keyboard", 'aria-label="Keys" title="Keys"').on(
                    "click", keys_dialog().open
                )
                self.downloads = DownloadDialog(self.studio, self.drop, self._say)
                button("Download", "download", 'aria-label="Download"').classes("main").on(
                    "click", self.downloads.open
                )

    def _work(self) -> None:
        self.stage = component("stage")()
        self._on(self.stage, "mark", self._mark)
        self._on(self.stage, "unmark", self._unmark)
        for made, event, does in (
            (self.undo, "click", session.undo),
            (self.stage, "undo", session.undo),
            (self.redo, "click", session.redo),
            (self.stage, "redo", session.redo),
        ):
            self._on(made, event, lambda key, does=does: self._set(key, does), told="")
        self._on(self.stage, "close", self.studio.close, told="")
        with ui.element("aside").classes("panel").props('aria-label="Settings"'):
            self.palette = component("palette")()
            self.stage.on("asked", js_handler=f"asked => getElement({self.palette.id}).show(asked)")
            for event, does in (
                ("attempt", "attempt"),
                ("give", "give"),
                ("leave", "leave"),
                ("confine", "confine"),
                ("unmark", "take"),
            ):
                self.palette.on(event, js_handler=self._to_stage(does))
            with ui.element("div").classes("what"):
                self.name = text("h1")
                self.what = text("p")
                with ui.element("div").classes("own") as self.own:
                    self.colors = text("p")
                    with ui.element("label"):
                        self.keep = ui.element("input").props('type="checkbox"')
                        text("span", "Keep its colors")
                    self._on(self.keep, "change", self._keep, told="told[0].target.checked")
            self.vividness = component("vividness")()
            self._on(self.vividness, "change", self._vivid)
            self.vividness.on("attempt", js_handler=self._to_stage("vivid"))
            self.vividness.props["value"] = 1
            self.looks = component("looks")()
            self._on(self.looks, "choose", self._look)
            self.looks.props["looks"] = [
                {"name": name, "label": look.label}
                for name, look in looks.looks(self.studio.weights[1]).items()
            ]
            with ui.element("section") as self.set:
                text("h2", "Colors you set")
                self.marks = component("marks")()
                self._on(self.marks, "unmark", self._unmark)
                self.marks.on("again", js_handler=self._to_stage("again"))
                self.marks.on("hover", js_handler=self._to_stage("hover"))
                with ui.element("details"):
                    text("summary", "Exact place")
                    self._exact()
        self._show_photo(NOTHING)
        self.strip = component("strip")()
        self.strip.on("choose", lambda event: self.studio.select(event.args))
        self.strip.on("clear", self.studio.clear)
        self.strip.on("close", lambda event: self.studio.close(event.args))

    def _on(
        self, made: Any, event: str, does: Callable[..., None], *, told: str = "...told"
    ) -> None:
        """Call a function on an event with the key of the photo that the browser shows.

        The server may already show another one by then.

        Args:
            made: The element.
            event: The event.
            does: The function.
            told: What is passed to it besides the key, in the browser's language; `told` is what the event tells.
        """
        made.on(
            event,
            lambda event: does(*event.args),
            js_handler=f"(...told) => emit([getElement({self.stage.id}).photo.key, {told}])",
        )

    def _to_stage(self, method: str) -> str:
        """Return a handler in the browser that passes what an event tells to a method of the stage."""
        return f"(...told) => getElement({self.stage.id}).{method}(...told)"

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
                if text("label", label).props(f'for="{name}"')
            ]
            self._on(button("Set this color"), "click", self._mark, told=f"({EXACT})()")

    # actions

    def _set(self, key: str, function: Callable[..., Work], *arguments: Any, **fields: Any) -> None:
        change = functools.partial(_applied, function, arguments, fields)
        self.studio.update(key, change)
        self.refresh()

    def _look(self, key: str, name: Any) -> None:
        if name in list(looks.looks(self.studio.weights[1])):  # any value, also one without a hash
            self._set(key, session.change, look=name)

    def _keep(self, key: str, checked: Any) -> None:
        self._set(key, session.change, keep_color=checked is True)

    def _vivid(self, key: str, value: Any) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError):
            return
        if session.is_vividness(number):
            self._set(key, session.change, vividness=number)

    def _mark(self, key: str, told: Any) -> None:
        mark = session.mark_from(told)
        number = told.get("instead")
        item = self.studio.items.get(key)
        before = item and item.version
        self._set(key, session.put, mark, number if type(number) is int else None)
        if not item or item.version != before:
            return
        self.stage.run_method("preview", None)  # what was tried is shown no longer
        if mark not in item.work.setting.marks:
            self._say("This photo has as many colors as it can hold.")

    def _unmark(self, key: str, number: Any) -> None:
        self._set(key, session.remove, number)

    def _say(self, text: Any) -> None:
        ui.notify(str(text), position="bottom", multi_line=True, timeout=8000, close_button="OK")

    # display

    def refresh(self) -> None:
        """Show the changes since the last refresh."""
        if self.seen == self.studio.revision:
            return
        self.seen = self.studio.revision
        item = self.studio.shown()
        self.welcome.set_visibility(item is None)
        self.work.set_visibility(item is not None)
        self.acts.set_visibility(item is not None)
        self.strip.props["works"] = self.studio.strip()
        self.strip.props["current"] = self.studio.current
        self.strip.props["unsaved"] = self.studio.unsaved()
        self.downloads.show_jobs(list(self.studio.jobs.values()))
        if item:
            self._show(item)

    def _show(self, item: Item) -> None:
        work, setting = item.work, item.work.setting
        marks = [
            {
                "color": mark.color,
                "name": color_name(mark.color),
                "path": mark.path,
                "radius": mark.radius,
                "local": mark.local,
            }
            for mark in setting.marks
        ]
        photo = {
            "key": work.key,
            "name": work.name,
            "width": item.shape[1] or 4,
            "height": item.shape[0] or 3,
            "version": item.version,
            "base": f"{setting.vividness}-{setting.keep_color}-{hash(setting.marks)}",
            "ready": bool(item.shape[0]),
            "painted": item.painted,
            "told": item.told,
            "failed": item.state == "failed",
            "marks": marks,
            "look": setting.look,
        }
        self._show_photo(photo)
        self.name.set_text(work.name)
        self.downloads.show_item(item)
        self.what.set_text("" if item.state == "failed" else item.told)
        self.vividness.props["value"], self.vividness.props["photo"] = setting.vividness, work.key
        self.own.set_visibility(item.in_color)
        used = "are kept" if setting.keep_color else "are not used"
        self.colors.set_text(f"Already in color; its own colors {used}.")
        self.keep.props["checked"] = setting.keep_color
        self.left.props["max"], self.top.props["max"] = photo["width"] - 1, photo["height"] - 1
        for each in (self.vividness, self.set):
            each.set_visibility(item.state != "failed")
        _enable(self.undo, work.at > 0)
        _enable(self.redo, work.at < len(work.settings) - 1)

    def _show_photo(self, photo: dict[str, Any]) -> None:
        self.stage.props["photo"] = photo
        names = ("color", "name", "radius", "local")
        light = [{name: each[name] for name in names} for each in photo["marks"]]
        for each in (self.palette, self.looks):
            each.props["photo"] = photo | {"marks": light}
        self.marks.props["marks"] = light


def _applied(function: Callable[..., Work], arguments: Any, fields: Any, work: Work) -> Work:
    return function(work, *arguments, **fields)


def _enable(made: Any, enabled: bool) -> None:
    made.props["disabled"] = not enabled


def _press(name: str) -> str:
    return f"() => document.getElementById('{name}').click()"


NOTHING = {
    "key": "",
    "name": "",
    "width": 4,
    "height": 3,
    "version": 0,
    "ready": False,
    "painted": 0,
    "marks": [],
}
EXACT = """() => {
  const value = name => document.getElementById('exact-' + name).value;
  const color = [1, 3, 5].map(at => parseInt(value('color').slice(at, at + 2), 16));
  const place = name => Math.min(value(name), document.getElementById('exact-' + name).max);
  return {color, path: [[place('top'), place('left')]], radius: 0};
}"""
