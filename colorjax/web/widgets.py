"""The widgets of the page: plain HTML elements and the components in `static`."""

import functools
import pathlib
import types
from typing import Any

try:
    import nicegui  # pyright: ignore[reportMissingImports]
    from nicegui.elements.mixins import text_element  # pyright: ignore[reportMissingImports]
except ImportError:  # the extra `app` is missing, which `app.serving` reports
    nicegui = text_element = None

ui: Any = getattr(nicegui, "ui", None)
TextElement: Any = getattr(text_element, "TextElement", None)
STATIC = pathlib.Path(__file__).parent / "static"
VALUE = "event => emit(event.target.value)"  # a handler that passes on what a field contains


@functools.cache
def component(name: str) -> Any:
    """Return the element class of a component, which is a file in `static` and may import modules in `static/parts`."""
    options = {"component": STATIC / f"{name}.js", "esm": {"parts": STATIC / "parts"}}
    return types.new_class(name, (ui.element,), options)


def text(tag: str, content: str = "") -> Any:
    """Return an element with plain text, which is never read as HTML."""
    return TextElement(tag=tag, text=content)


def button(label: str, icon: str = "", props: str = "") -> Any:
    """Return a button with an icon, a label or both."""
    with ui.element("button").props(f'type="button" {props}') as made:
        if icon:
            text("i", icon).props('aria-hidden="true"')
        if label:
            text("span", label)
    return made
