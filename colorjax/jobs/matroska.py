"""A Matroska stream of uncompressed frames (RFC 9559), in which each frame has its own time."""

import struct

import numpy as np
from jaxtyping import UInt8


def matroska_header(width: int, height: int) -> bytes:
    """Return the start of a stream of RGB frames whose times are in microseconds."""
    video = _element(0xB0, _number(width)) + _element(0xBA, _number(height))
    video += _element(0x2EB524, b"RGB\x18")
    track = b"".join(_element(each, b"\x01") for each in (0xD7, 0x73C5, 0x83))
    track += _element(0x86, b"V_UNCOMPRESSED") + _element(0xE0, video)
    info = _element(0x2AD7B1, _number(1000)) + _element(0x4D80, b"colorjax")
    info += _element(0x5741, b"colorjax")
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    endless = bytes.fromhex("18538067 01ffffffffffffff")
    return head + endless + _element(0x1549A966, info) + _element(0x1654AE6B, _element(0xAE, track))


def matroska_frame(frame: UInt8[np.ndarray, "h w 3"], seconds: float) -> bytes:
    """Return one frame of such a stream, in a separate cluster."""
    time = _element(0xE7, _number(max(0, round(1e6 * seconds))))
    return _element(0x1F43B675, time + _element(0xA3, b"\x81\x00\x00\x80" + frame.tobytes()))


def _element(identity: int, data: bytes) -> bytes:
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + struct.pack(">Q", 1 << 56 | len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")
