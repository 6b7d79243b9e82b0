"""Photos to try the page with."""

import contextlib
import pathlib
from typing import NamedTuple

from colorjax.errors import ColorjaxError
from colorjax.jobs.batch import gray_pixels
from colorjax.photos import Photo, encode_photo, read_photo, sample_photos
from colorjax.web.session import Work


class Sample(NamedTuple):
    """The texts for a sample.

    Attributes:
        title: A short title.
        alt: A description for people who do not see the photo.
    """

    title: str
    alt: str


SAMPLES = {  # from scikit-image; NASA's is in the public domain, the other two are CC0
    "camera": Sample("The photographer", "A man in a dark coat behind a camera on a tripod"),
    "astronaut": Sample("The astronaut", "Eileen Collins in her space suit, smiling"),
    "rocket": Sample("The launch", "A rocket on its launch pad at dusk"),
}
HERO = "camera"  # the sample on the first page


def write_samples(folder: pathlib.Path) -> dict[str, Work]:
    """Write the samples to a folder, in gray.

    Returns:
        An open file for each name in `SAMPLES`. Without scikit-image there are none.
    """
    works = {}
    with contextlib.suppress(ColorjaxError):
        for path in sample_photos():
            if path.stem in SAMPLES:
                own = folder / f"{path.stem}.png"
                own.write_bytes(encode_photo(Photo(gray_pixels(read_photo(path))), "PNG"))
                works[path.stem] = Work(path.stem, own.name, own)
    return works
