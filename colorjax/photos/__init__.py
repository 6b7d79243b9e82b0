"""Photo files: read, shrink to squares, find, write; whatever a file holds, arrays come out, or one `PhotoError`.

This is the door: `reading` makes photos of files, `loading` small arrays to learn from, `writing` files of photos,
`search` finds them, `drawing` makes pictures to look at; behind them `opening` guards, and `decoding`, `encoding` and
others do the work. These, and no other module, use Pillow and tifffile.
"""

from colorjax.photos.decoding import SUFFIXES
from colorjax.photos.drawing import shrink_photo, text_strip
from colorjax.photos.loading import load_square, load_squares, load_whole
from colorjax.photos.opening import MAX_PIXELS
from colorjax.photos.photo import Photo, Pixels
from colorjax.photos.reading import (
    count_frames,
    decode_frames,
    decode_photo,
    memory_needed,
    output_suffix,
    read_bytes,
    read_frames,
    read_photo,
    suffix_for,
)
from colorjax.photos.search import find_photos, sample_photos
from colorjax.photos.writing import (
    encode_frames,
    encode_photo,
    fitting_name,
    format_of,
    sweep,
    write_bytes,
    write_frames,
    write_photo,
)

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "Pixels",
    "count_frames",
    "decode_frames",
    "decode_photo",
    "encode_frames",
    "encode_photo",
    "find_photos",
    "fitting_name",
    "format_of",
    "load_square",
    "load_squares",
    "load_whole",
    "memory_needed",
    "output_suffix",
    "read_bytes",
    "read_frames",
    "read_photo",
    "sample_photos",
    "shrink_photo",
    "suffix_for",
    "sweep",
    "text_strip",
    "write_bytes",
    "write_frames",
    "write_photo",
]
