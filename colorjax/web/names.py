"""The names of colors, for screen readers and lists."""

import bisect
from collections.abc import Sequence

from colorjax.web.session import Color

GRAY = 0.03  # most strength of a color without a hue
TINTED = 0.12  # most strength of a gray with a tint
GRAYISH = 0.2  # most strength of a grayish color
HUES = (  # in degrees, where each begins
    (0, "red"),
    (10, "reddish orange"),
    (20, "orange"),
    (38, "yellowish orange"),
    (50, "yellow"),
    (66, "yellowish green"),
    (90, "green"),
    (145, "bluish green"),
    (165, "teal"),
    (185, "greenish blue"),
    (200, "blue"),
    (235, "violet-blue"),
    (255, "violet"),
    (280, "purple"),
    (305, "magenta"),
    (325, "pink"),
    (345, "pinkish red"),
    (355, "red"),
)
EARTHS = {  # dark and pale forms of hues
    "reddish orange": ("reddish brown", "pinkish beige"),
    "orange": ("brown", "beige"),
    "yellowish orange": ("yellowish brown", "yellowish beige"),
    "yellow": ("olive", "greenish beige"),
}
TINTS = (
    (0, "pinkish"),
    (20, "warm"),
    (50, "yellowish"),
    (75, "greenish"),
    (150, "teal"),
    (190, "bluish"),
    (250, "violet"),
    (300, "pinkish"),
)


def color_name(color: Color) -> str:
    """Return the name of a color, such as "dark grayish blue" or "warm gray"."""
    red, green, blue = (each / 255 for each in color)
    high, low = max(red, green, blue), min(red, green, blue)
    light, strength = (high + low) / 2, high - low
    shade = "dark " if light < 0.3 else "light " if light > 0.7 else ""
    if strength < 2 * GRAY and not 0.12 <= light <= 0.92:
        return "black" if light < 0.12 else "white"
    if strength < GRAY:
        return f"{shade}gray"
    hue = 60 * (
        (green - blue) / strength % 6
        if high == red
        else (blue - red) / strength + 2
        if high == green
        else (red - green) / strength + 4
    )
    if strength < TINTED:
        return f"{shade}{_at(TINTS, hue)} gray"
    name = _at(HUES, hue)
    if name in EARTHS and (light < 0.45 or strength < 0.45):
        return f"{shade}{EARTHS[name][light >= 0.5]}"
    return f"{shade}{'grayish ' if strength < GRAYISH else ''}{name}"


def color_names(colors: Sequence[Color]) -> list[str]:
    """Return names of colors that are offered together: none is there twice."""
    names: list[str] = []
    for color in colors:
        name = color_name(color)
        if name in names:
            first = colors[names.index(name)]
            name = f"{'bright' if _strength(color) > _strength(first) else 'pale'} {name}"
        number = 2
        while name in names:
            name = f"{name.removesuffix(f' {number - 1}')} {number}"
            number += 1
        names.append(name)
    return names


def _at(begins: Sequence[tuple[int, str]], hue: float) -> str:
    return begins[bisect.bisect(begins, hue, key=lambda entry: entry[0]) - 1][1]


def _strength(color: Color) -> int:
    return max(color) - min(color)
