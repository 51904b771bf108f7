"""Pictures as PNG (ISO/IEC 15948), eight bits a channel: enough for what we draw, and no image library."""

import struct
import zlib

import numpy as np
import numpy.typing as npt


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file from [height, width, 3] red, green and blue."""
    height, width, _ = picture.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), picture.reshape(height, width * 3)])  # filter 0 before every row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # eight bits, colour, nothing interlaced
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
