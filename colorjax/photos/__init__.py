"""Photo files in and out. Reading returns arrays or raises `PhotoError`, whatever is wrong with a file.

Import from this package rather than from its modules. `reading` decodes photos, `writing` encodes and writes them,
`loading` makes small arrays for training, `search` finds files, and `drawing` makes pictures for people. Behind these,
`formats` names the formats, `opening` turns all faults into one kind of error, `headers` reads headers, `parts` counts
what decoders read one by one, `ancillary` hides useless chunks of PNGs from them, and `decoding`, `encoding`,
`metadata`, `profiles` and `tints` do the work. Only this package uses Pillow and tifffile.
"""

from colorjax.photos.drawing import shrink_photo, text_strip
from colorjax.photos.formats import SUFFIXES
from colorjax.photos.loading import load_resized, load_square, load_squares
from colorjax.photos.opening import MAX_PIXELS, most_pixels
from colorjax.photos.photo import Photo, Pixels
from colorjax.photos.pil import from_pil, is_pil, to_pil
from colorjax.photos.reading import (
    count_frames,
    count_frames_in,
    decode_frames,
    decode_photo,
    memory_needed,
    output_suffix,
    read_bytes,
    read_frames,
    read_photo,
    suffix_for,
)
from colorjax.photos.search import find_photos, sample_photos, without_outputs
from colorjax.photos.writing import (
    check_replaceable,
    encode_frames,
    encode_photo,
    format_of,
    place_file,
    remove_temporaries,
    shorten_name,
    write_bytes,
    write_frames,
    write_photo,
)

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "Pixels",
    "check_replaceable",
    "count_frames",
    "count_frames_in",
    "decode_frames",
    "decode_photo",
    "encode_frames",
    "encode_photo",
    "find_photos",
    "format_of",
    "from_pil",
    "is_pil",
    "load_resized",
    "load_square",
    "load_squares",
    "memory_needed",
    "most_pixels",
    "output_suffix",
    "place_file",
    "read_bytes",
    "read_frames",
    "read_photo",
    "remove_temporaries",
    "sample_photos",
    "shorten_name",
    "shrink_photo",
    "suffix_for",
    "text_strip",
    "to_pil",
    "without_outputs",
    "write_bytes",
    "write_frames",
    "write_photo",
]
