"""Small test pictures and files, made from nothing."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image, ImageCms

from colorjax import color


def noise(*shape, seed=0, dtype=np.uint8):
    """Return random levels over the whole range of an unsigned dtype."""
    levels = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, levels, shape, dtype)


def scene(h=48, w=64, seed=0):
    """Return a smooth colorful uint8 picture with a few hard edges, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    waves = [
        np.sin(2 * np.pi * (rng.uniform(-2, 2) * x + rng.uniform(-2, 2) * y)) for _ in range(3)
    ]
    picture = 127 + 100 * np.stack(waves, -1)
    picture[h // 3 : h // 2, w // 4 : w // 2] = rng.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def encoded(pixels, kind, mode=None, **options):
    """Return the bytes of a picture file; `mode` converts first."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, kind, **options)
    return file.getvalue()


def png_header(w, h):
    """Return a PNG that announces w × h pixels and holds none."""
    small = bytearray(encoded(np.zeros((1, 1), np.uint8), "PNG"))
    small[16:24] = w.to_bytes(4, "big") + h.to_bytes(4, "big")
    small[29:33] = zlib.crc32(small[12:29]).to_bytes(4, "big")
    return bytes(small)


def oriented(upright, orientation):
    """Return the pixels as a camera stores them under an EXIF orientation (1 to 8)."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(stored[orientation](upright))


# --- one file for each cell of the table in spec/files.md ---------------------------------------


def cell(kind, mode):
    """Return (file bytes, pixels, alpha, bits) of a picture as another writer makes it, None where refused."""
    if mode.endswith(" 16"):
        return deep_cell(kind, mode.removesuffix(" 16"))
    if mode.startswith("L ") and mode.endswith(" with alpha"):
        return shallow_cell(int(mode.split()[1]))
    if mode == "I":
        levels = noise(48, 64, dtype=np.uint32)
        return (
            tiff(levels),
            ((levels.astype(np.uint64) + 32768) // 65537).astype(np.uint16),
            None,
            16,
        )
    if mode == "F":
        levels = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
        return (
            tiff(levels),
            np.floor(levels.astype(float) * 65535 + 0.5).astype(np.uint16),
            None,
            16,
        )
    if (kind, mode) == ("BMP", "RGBA"):
        rgba = np.dstack([scene(), noise(48, 64)])
        return bmp_with_alpha(rgba), rgba[..., :3], rgba[..., 3], 8
    options, picture = {}, Image.fromarray(scene())
    if mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode in ("LA", "RGBA"):
        picture = picture.convert(mode)
        picture.putalpha(Image.fromarray(noise(48, 64)))
    elif mode == "P with alpha":
        picture = picture.convert("P")
        options["transparency"] = picture.getpixel((0, 0))
    elif mode == "PA":
        picture = picture.convert("P").convert("PA")
        picture.putalpha(Image.fromarray(noise(48, 64)))
    else:
        picture = picture.convert(mode)
    data = encoded(picture, kind, **options)
    held = Image.open(io.BytesIO(data))
    alpha = None
    if held.has_transparency_data:
        alpha = np.asarray(held.convert("RGBA").getchannel("A"))
    if mode == "LAB":
        rgb = ImageCms.profileToProfile(
            held, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        return data, np.asarray(rgb), None, 8
    gray = mode in ("1", "L", "LA")
    bits = 1 if held.mode == "1" else 8
    return data, np.asarray(held.convert("L" if gray else "RGB")), alpha, bits


def shallow_cell(depth):
    """Return a gray PNG of 2 or 4 bits, of which one level is clear."""
    top = (1 << depth) - 1
    levels = noise(48, 64) & top
    bits = np.unpackbits(levels[..., None], axis=-1)[..., -depth:].reshape(48, -1)
    rows = np.pad(np.packbits(bits, axis=1), [(0, 0), (1, 0)])  # no filter
    data = PNG + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, depth, 0, 0, 0, 0))
    data += png_chunk(b"tRNS", struct.pack(">H", top - 1))
    data += png_chunk(b"IDAT", zlib.compress(rows.tobytes())) + png_chunk(b"IEND", b"")
    alpha = np.where(levels == top - 1, 0, 255).astype(np.uint8)
    return data, levels * np.uint8(255 // top), alpha, 8


PNG = b"\x89PNG\r\n\x1a\n"


def png_chunk(name, content):
    """Return a chunk of a PNG."""
    check = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def deep_cell(kind, mode):
    """Return a 16-bit cell; only PNG, TIFF and gray JPEG 2000 hold any that can be read."""
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    levels = noise(48, 64, *channels, dtype=np.uint16)
    if kind == "JPEG2000" and mode == "L":
        return encoded(levels, kind), levels, None, 16
    if kind == "JPEG2000":
        data = bytearray(encoded(noise(48, 64, *channels), kind))
        siz = data.index(b"\xff\x4f\xff\x51") + 2
        for channel in range(*channels):
            data[siz + 40 + 3 * channel] = 15  # Ssiz: 16 bits
        return bytes(data), None, None, 16
    if mode == "CMYK":
        return tiff(levels, photometric="separated"), None, None, 16
    alpha = levels[..., -1] if mode.endswith("A") else None
    pixels = levels if alpha is None else levels[..., :-1]
    if mode == "LA":
        pixels = pixels[..., 0]
    return (png(levels) if kind == "PNG" else tiff(levels)), pixels, alpha, 16


def png(levels, **options):
    """Return the bytes of a PNG by numpngw."""
    import numpngw

    file = io.BytesIO()
    numpngw.write_png(file, levels, filter_type=4, **options)
    return file.getvalue()


def tiff(levels, **options):
    """Return the bytes of a TIFF by tifffile; two or four channels have unassociated alpha."""
    options.setdefault(
        "photometric", "rgb" if levels.ndim == 3 and levels.shape[-1] > 2 else "minisblack"
    )
    if levels.ndim == 3 and levels.shape[-1] in (2, 4) and options["photometric"] != "separated":
        options.setdefault("extrasamples", ["unassalpha"])
        options.setdefault("planarconfig", "contig")
    if options.get("planarconfig") == "separate":
        levels = np.moveaxis(levels, -1, 0)
    file = io.BytesIO()
    tifffile.imwrite(file, levels, **options)
    return file.getvalue()


def lzw_tiff(levels):
    """Return the bytes of a TIFF with LZW that never repeats: literal codes of 9 bits, cleared in time."""
    codes = []
    for start in range(0, levels.nbytes, 250):
        codes += [256, *levels.tobytes()[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    strip = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    file = io.BytesIO(tiff(levels, byteorder="<", metadata=None))
    place = file.seek(0, io.SEEK_END)
    file.write(strip)
    file.seek(0)
    with tifffile.TiffFile(file, mode="r+b") as opened:
        for tag, value in ((259, 5), (273, place), (279, len(strip))):
            opened.pages[0].tags[tag].overwrite(value)
        return file.getvalue()


def bmp_with_alpha(rgba):
    """Return the bytes of a 32-bit BMP with bit masks (BITMAPV4HEADER)."""
    h, w = rgba.shape[:2]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, w, h, 1, 32, 3, 4 * w * h, 2835, 2835, 0, 0)
    header += masks + b"BGRs" + bytes(48)
    pixels = rgba[::-1, :, [2, 1, 0, 3]].tobytes()
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 122) + header + pixels


# --- color profiles ----------------------------------------------------------------------------

D50 = (0.9642, 1.0, 0.8249)
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def icc(space, tags, pcs=b"XYZ "):
    """Return the bytes of an ICC profile (version 2.4) with the tags given, {signature: data}."""
    offset, table, body = 132 + 12 * len(tags), b"", b""
    for signature, data in tags.items():
        table += struct.pack(">4sII", signature, offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x02400000, b"mntr", space, pcs)
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def fixed(*numbers):
    """Return s15Fixed16 numbers."""
    return struct.pack(f">{len(numbers)}i", *(round(65536 * number) for number in numbers))


def gamma_curve(gamma):
    """Return a curve of one u8Fixed8 exponent."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma))


def gray_profile(curve):
    """Return a gray profile."""
    return icc(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50), b"kTRC": curve})


def rgb_profile(curve, primaries=ADOBE):
    """Return a matrix profile, by default with the primaries of Adobe RGB (1998)."""
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50)}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[name + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primary)
        tags[name + b"TRC"] = curve
    return icc(b"RGB ", tags)


def cmyk_profile():
    """Return a table profile of two grid points an ink: L falls with each ink, cyan is bluish, and so on."""
    grid = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(16, 4)
    lightness = 255 * np.clip(1 - grid @ [0.4, 0.5, 0.1, 1.0], 0, 1)
    a = 128 + np.where(lightness > 0, grid @ [-35, 70, -5, 0], 0)
    b = 128 + np.where(lightness > 0, grid @ [-45, -5, 90, 0], 0)
    ramp = bytes(range(256))
    table = np.stack([lightness, a, b], -1).round().astype(np.uint8).tobytes()
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += ramp * 4 + table + ramp * 3
    return icc(b"CMYK", {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50), b"A2B0": lut}, b"Lab ")


# --- damaged files ------------------------------------------------------------------------------


def mutants(count, seed=0):
    """Yield the bytes of damaged files of all formats: cut, overwritten, spliced, or random."""
    rng = np.random.default_rng(seed)
    formats = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "JPEG2000")
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 6, {0x9003: "2000:01:01 00:00:00"}
    rich = {"exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>", "dpi": (300, 300)}
    rich["icc_profile"] = rgb_profile(gamma_curve(1.8))
    whole = [encoded(scene(24, 32), kind, **rich) for kind in formats]
    cells = [("PNG", "P with alpha"), ("PNG", "RGBA 16"), ("PNG", "LA 16"), ("TIFF", "RGB 16")]
    cells += [("TIFF", "LA 16"), ("TIFF", "F"), ("JPEG", "CMYK"), ("GIF", "P with alpha")]
    whole += [cell(*each)[0] for each in cells]
    whole += [tiff(noise(24, 32, 3, dtype=np.uint16), compression="zlib", predictor=2)]
    whole += [tiff(noise(24, 32, 3, dtype=np.uint16), planarconfig="separate")]
    pages = [Image.fromarray(scene(24, 32, seed)) for seed in range(3)]
    whole += [
        encoded(pages[0], kind, save_all=True, append_images=pages[1:]) for kind in formats[1:6]
    ]
    whole += [
        tiff(scene(24, 32), bigtiff=True),
        tiff(noise(24, 32, 3, dtype=np.uint16), bigtiff=True),
    ]
    whole += [encoded(scene(24, 32), "JPEG", progressive=True, exif=exif.tobytes())]
    whole += [encoded(pages[0], "TIFF", compression=each) for each in ("tiff_lzw", "jpeg")]
    upright = {"save_all": True, "append_images": pages[1:], "exif": exif.tobytes()}
    whole += [encoded(pages[0], kind, **upright) for kind in ("PNG", "WEBP")]
    for _ in range(count):
        data = bytearray(whole[rng.integers(len(whole))])
        if data[:2] in (b"II", b"MM") and rng.integers(
            2
        ):  # an entry of a directory: type, count or value
            (start,) = struct.unpack("<I", data[4:8])
            field = start + 2 + 12 * int(rng.integers(12)) + int(rng.choice([0, 2, 4, 8]))
            extreme = rng.choice([b"\0\0", b"\1\0", b"\2\0\0\0", b"\xff\xff", b"\xff\xff\xff\xff"])
            data[field : field + len(extreme)] = extreme
            yield bytes(data)
            continue
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(min(len(data), rng.choice([64, 1024, 1 << 20])) or 1))
            length = int(rng.integers(1, 9))
            match rng.integers(7):
                case 0:
                    del data[place:]
                case 1:
                    data[place : place + length] = rng.bytes(length)
                case 2:
                    data[place : place + 4] = rng.choice(
                        [b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x80\0\0\0"]
                    )
                case 3:
                    del data[place : place + length]
                case 4:
                    data[place:place] = data[place : place + 16 * length]
                case 5:
                    other = whole[rng.integers(len(whole))]
                    data[place:] = other[place:]
                case 6:
                    data = data if rng.integers(9) else bytearray(rng.bytes(length * 40))
        yield bytes(data)


def most_apart(one, other):
    """Return the mean CIEDE2000 over the tenth of the pixels where two pictures differ most."""
    labs = (color.rgb_to_lab(picture.astype(np.float32)) for picture in (one, other))
    apart = np.sort(np.asarray(color.ciede2000(*labs)).ravel())
    return apart[-len(apart) // 10 :].mean()
