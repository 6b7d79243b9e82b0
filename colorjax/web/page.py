"""The page that `app` serves: what a person sees and does, in Gradio's blocks."""

import contextlib
import dataclasses
import pathlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from colorjax.errors import ColorjaxError
from colorjax.jobs.coloring import Weights
from colorjax.photos import MAX_PIXELS, SUFFIXES, Photo, encode_photo
from colorjax.web import session
from colorjax.web.session import Work

COLORS = 8
FORMATS = {"as the photo": None, "PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WebP": ".webp"}


def make_page(weights: Weights, folder: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Any:
    """Return the page as Gradio's blocks.

    Args:
        weights: (params, config).
        folder: where pictures are put for the browser; under a name of chance each.
        max_pixels: most pixels of a photo.

    Spec: APP-001, APP-002, APP-003, APP-006
    """
    import gradio as gr  # pyright: ignore[reportMissingImports]

    def put(data: bytes, name: str) -> str:
        place = folder / secrets.token_hex(16)
        place.mkdir()
        (place / name).write_bytes(data)
        return str(place / name)

    def shown(photo: Photo) -> str:
        return put(encode_photo(Photo(photo.to_8bit().pixels), "JPEG", quality=92), "photo.jpg")

    def draw(works: list[Work], number: int | None) -> list[Any]:
        """Return the values of `views` for a photo."""
        if number is None or number >= len(works):
            return [None, None, "", 1.0, gr.update(visible=False), gr.update(interactive=False)]
        work = works[number]
        (after, *_) = session.colored(work, weights)
        pair = (shown(work.frames[0]), shown(after))
        marked = shown(session.marked(work, after)) if work.setting.hints else pair[1]
        more = gr.update(interactive=len(work.settings) > 1)
        marks = marks_in_words(work.setting)
        return [pair, marked, marks, work.setting.vividness, gr.update(visible=True), more]

    def draw_anew(works: list[Work], number: int | None) -> list[Any]:
        """Return the values of `views` and `offers` for a photo that was not in view."""
        return [*draw(works, number), hidden(), hidden()]

    def add(files: Sequence[str] | None, works: list[Work], number: int | None) -> list[Any]:
        """Open photos; name those that are none."""
        lines, opened = [], []
        for place in files or []:
            path = pathlib.Path(place)
            try:
                opened.append(
                    session.open_photo(path.name, path.read_bytes(), max_pixels=max_pixels)
                )
            except ColorjaxError as error:
                lines.append(str(error))
            path.unlink(missing_ok=True)
        number = len(works) if opened else number
        works = [*works, *opened]
        return [works, choice(works, number), None, message(lines, len(opened))]

    def choice(works: list[Work], number: int | None) -> Any:
        """Return an update of the list of photos, with the one that comes into view."""
        names = [(work.name, place) for place, work in enumerate(works)]
        return gr.update(choices=names, value=number, visible=len(works) > 1)

    def remove(works: list[Work], number: int | None) -> list[Any]:
        """Take the photo in view out of the list; the next one comes into view."""
        if number is None:
            return [works, choice(works, None), ""]
        others = [*works[:number], *works[number + 1 :]]
        following = min(number, len(others) - 1) if others else None
        return [others, choice(others, following), _plain(f"{works[number].name} removed.")]

    def changed(make: Callable[..., Work]) -> Callable[..., list[Any]]:
        """Return a handler that replaces the photo in view by what `make` makes of it, and draws it."""

        def handle(works: list[Work], number: int | None, *values: Any) -> list[Any]:
            if number is None:
                return [works, *draw(works, number)]
            works = [*works]
            works[number] = make(works[number], *values)
            return [works, *draw(works, number)]

        return handle

    def set_vividness(work: Work, vividness: float) -> Work:
        return session.change(work, dataclasses.replace(work.setting, vividness=vividness))

    def set_hint(work: Work, x: float, y: float, color: str) -> Work:
        return session.hint(work, int(y or 0), int(x or 0), _from_hex(color))

    def offer_variants(works: list[Work], number: int | None) -> Any:
        if number is None:
            return hidden()
        variants = session.colorings(works[number], weights)
        pictures = [(shown(photo), f"Coloring {i}") for i, photo in enumerate(variants, 1)]
        return gr.update(value=pictures, visible=True, selected_index=None)

    def pick_variant(works: list[Work], number: int | None, event: gr.SelectData) -> list[Any]:
        def pick(work: Work) -> Work:
            return session.change(work, dataclasses.replace(work.setting, variant=event.index))

        return changed(pick)(works, number)

    def offer_colors(works: list[Work], number: int | None, x: float, y: float) -> Any:
        if number is None:
            return hidden()
        h, w = works[number].frames[0].pixels.shape[:2]
        place = (int(np.clip(y or 0, 0, h - 1)), int(np.clip(x or 0, 0, w - 1)))
        likely = session.palette(works[number], weights, *place, COLORS)
        swatches = np.broadcast_to(likely[:, None, None], (len(likely), 48, 48, 3))
        pictures = [
            (put(encode_photo(np.ascontiguousarray(swatch), "PNG"), "color.png"), _to_hex(color))
            for swatch, color in zip(swatches, likely, strict=True)
        ]
        return gr.update(value=pictures, visible=True, selected_index=None)

    def hidden() -> Any:
        return gr.update(value=[], visible=False)

    def point(works: list[Work], number: int | None, event: gr.SelectData) -> list[Any]:
        x, y = event.index
        return [x, y, offer_colors(works, number, x, y)]

    def pick_color(offered: list[Any], event: gr.SelectData) -> str:
        return offered[event.index][1]

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        """Show what our own errors say, which Gradio would keep to itself."""
        try:
            yield
        except ColorjaxError as error:
            raise gr.Error(_plain(str(error)), print_exception=False) from None

    def download(works: list[Work], number: int | None, format: str) -> str | None:
        if number is None:
            return None
        with told():
            name, data = session.encoded(works[number], weights, suffix=FORMATS[format])
        return put(data, name)

    def download_all(works: list[Work], format: str, progress: Any = gr.Progress()) -> str | None:  # noqa: B008
        def done(number: int) -> None:
            progress((number, len(works)), desc="Coloring", unit="photos")

        with told():
            data = session.zipped(works, weights, suffix=FORMATS[format], done=done)
        return put(data, "colored.zip")

    suffixes = [suffix for known in SUFFIXES.values() for suffix in known]
    with gr.Blocks(title="colorjax", analytics_enabled=False) as page:
        works = gr.State([])
        gr.Markdown("# Color for black-and-white photos\nAll work is done on this computer.")
        upload = gr.File(
            label="Drop photos here, or click to choose",
            file_count="multiple",
            file_types=suffixes,
            height=140,
        )
        status = gr.Markdown("", elem_id="status")
        which = gr.Dropdown(label="Photo", choices=[], visible=False, type="value")
        with gr.Column(visible=False) as desk:
            with gr.Row():
                with gr.Column(scale=3, min_width=320), gr.Tabs():
                    with gr.Tab("Before and after"):
                        slider = gr.ImageSlider(
                            label="Before and after",
                            type="filepath",
                            max_height=2000,
                            interactive=False,
                            buttons=["fullscreen"],
                            elem_id="slider",
                        )
                        border = gr.Slider(
                            0,
                            100,
                            value=50,
                            step=1,
                            label="Where color begins (percent)",
                        )
                    with gr.Tab("Set a color") as by_hand:
                        canvas = gr.Image(
                            label="Click the place whose color you know",
                            type="filepath",
                            interactive=False,
                            buttons=["fullscreen"],
                            elem_id="canvas",
                            alt_text="The photo in color",
                        )
                        marks = gr.Markdown("", elem_id="marks")
                        with gr.Row():
                            x = gr.Number(
                                label="From the left (pixels)", value=0, precision=0, min_width=120
                            )
                            y = gr.Number(
                                label="From the top (pixels)", value=0, precision=0, min_width=120
                            )
                            likely = gr.Button("Show likely colors", min_width=120)
                        swatches = gr.Gallery(
                            label="Likely colors there",
                            show_label=False,
                            visible=False,
                            columns=COLORS,
                            height="auto",
                            allow_preview=False,
                            interactive=False,
                            buttons=[],
                            elem_id="swatches",
                        )
                        with gr.Row():
                            color = gr.ColorPicker(
                                label="Color", value="#8a6a4a", min_width=120, elem_id="color"
                            )
                            give = gr.Button(
                                "Give the place this color", variant="primary", min_width=120
                            )
                with gr.Column(scale=1, min_width=280):
                    vividness = gr.Slider(
                        0,
                        2.5,
                        value=1,
                        step=0.1,
                        label="Vividness",
                        info="0 is gray, 1 natural, 2 twice as strong",
                    )
                    other = gr.Button("Show other colorings")
                    variants = gr.Gallery(
                        label="Colorings to pick from",
                        show_label=False,
                        visible=False,
                        columns=2,
                        height="auto",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        elem_id="variants",
                    )
                    undo = gr.Button("Undo the last change", interactive=False, elem_id="undo")
                    format = gr.Dropdown(list(FORMATS), value="as the photo", label="Format")
                    save = gr.Button("Download this photo", variant="primary")
                    save_all = gr.Button("Download all as a zip")
                    take_out = gr.Button("Remove this photo from the list")
            ready = gr.DownloadButton("Your file", elem_id="ready", elem_classes="unseen")

        views = [slider, canvas, marks, vividness, desk, undo]
        offers = [variants, swatches]
        here = [works, which]
        press = "() => setTimeout(() => document.querySelector('#ready')?.click(), 300)"
        upload.upload(add, [upload, *here], [works, which, upload, status]).then(
            draw_anew, here, [*views, *offers]
        )
        by_hand.select(None, None, None, js=SCRIPT)  # what is in it is made when it opens
        which.input(draw_anew, here, [*views, *offers])
        take_out.click(remove, here, [works, which, status]).then(
            draw_anew, here, [*views, *offers]
        )
        border.input(
            lambda share: gr.update(slider_position=share),
            border,
            slider,
            trigger_mode="always_last",
        )
        vividness.input(
            changed(set_vividness),
            [*here, vividness],
            [works, *views],
            trigger_mode="always_last",
        )
        other.click(offer_variants, here, variants)
        variants.select(pick_variant, here, [works, *views])
        canvas.select(point, here, [x, y, swatches])
        likely.click(offer_colors, [*here, x, y], swatches)
        swatches.select(pick_color, swatches, color)
        give.click(changed(set_hint), [*here, x, y, color], [works, *views])
        undo.click(changed(session.undo), here, [works, *views])
        save.click(download, [*here, format], ready).then(None, None, None, js=press)
        save_all.click(download_all, [works, format], ready).then(None, None, None, js=press)
    return page


def marks_in_words(setting: session.Setting) -> str:
    """Return what the rings on a photo show, for those who do not see them.

    Spec: APP-008
    """
    places = [
        f"{_to_hex(np.array(color))} at {column} from the left, {row} from the top"
        for row, column, color in setting.hints
    ]
    return _plain(f"Set, where the rings are: {'; '.join(places)}.") if places else ""


def message(lines: Sequence[str], opened: int) -> str:
    """Return what is said after an upload: plain text, whatever the names are.

    Spec: APP-003
    """
    said = [f"⚠ {line}" for line in lines]
    if opened:
        said.insert(0, f"{opened} photo{'s' if opened > 1 else ''} opened.")
    return "\n\n".join(_plain(line) for line in said)


def _plain(text: str) -> str:
    """Return a text with all that Markdown or HTML would read something into escaped."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]()<>#+-!|~&$^=:" else c for c in text)


def _to_hex(color: np.ndarray) -> str:
    return "#" + bytes(color.tolist()).hex()


def _from_hex(text: str) -> session.Color:
    """Return the color of "#rrggbb", or of "rgb(r, g, b)" as color pickers write it too."""
    if text.startswith("#"):
        r, g, b = bytes.fromhex(text[1:7])
    else:
        r, g, b = (round(float(part)) for part in text[text.index("(") + 1 : -1].split(",")[:3])
    return r, g, b


STYLE = """
.unseen { position: absolute; left: -9999px }
#swatches .grid-container { grid-template-columns: repeat(auto-fill, minmax(4.75rem, 1fr)) !important }
:is(#swatches, #variants) :is(.gallery-container, .grid-wrap) { height: auto !important; min-height: 0 !important }
:is(#status, #marks) p { margin: .25rem 0 }
.gradio-container { --block-info-text-color: var(--body-text-color); --body-text-color-subdued: var(--body-text-color) }
.gradio-container { max-width: 100rem !important }
"""

SCRIPT = """() => setTimeout(() => document.querySelectorAll('#status, #marks').forEach(
  element => element.setAttribute('aria-live', 'polite')), 300)"""
