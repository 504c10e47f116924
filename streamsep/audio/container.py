"""What a sound file says of itself before it is decoded. Knows container headers; knows nothing of samples.

libsndfile and FFmpeg both read a file that was cut off as if it simply ended there. Here the size that the header
declares is compared with the size on disk, so that a broken download is refused before an hour of work goes into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# A streaming encoder that cannot seek back leaves 0 or one of these in a size field, less what is no whole frame and
# perhaps the header: it means "unknown", not "cut off".
_UNKNOWN_SIZES = (0x7FFFF000, 0x7FFFFF00, 0x80000000, 0xFFFFFFFF)
_LESS = 64  # bytes: eight channels of eight bytes
_MAX_CHUNKS = 1_000  # a file of zeros is a million empty chunks
_OGG_PAGE_MAX = 65_307  # bytes, RFC 3533
_OGG_HEADER = 27  # bytes of a page before the sizes of its segments
_OGG_CODECS = (b"\x01vorbis", b"OpusHead")
_OGG_BEGINS = 2  # flag of a stream's first page
_MP3_SLACK = 4_096  # bytes: encoders disagree about whether the first and the last frame count
_XING_OFFSET_MAX = 36  # bytes from the start of an MPEG frame to its Xing or Info tag


def missing_bytes(path: Path) -> int:
    """How many bytes the header declares that the file does not have; 0 when whole or when nobody can tell.

    Ogg declares the size of each page only: what its last page lacks is what is missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] in (b"RIFF", b"RF64") and magic[8:12] == b"WAVE":
            return max(0, _wav_end(file) - size)
        if magic[:4] == b"FORM" and magic[8:11] == b"AIF":
            return max(0, int.from_bytes(magic[4:8], "big") + 8 - size)
        if magic[:4] == b"OggS":
            return _ogg_missing(file, size)
        if magic[:3] == b"ID3" or (len(magic) > 1 and magic[0] == 0xFF and magic[1] & 0xE0 == 0xE0):
            missing = _mp3_end(file) - size
            return missing if missing > _MP3_SLACK else 0
    return 0


def wav_channels(path: Path) -> int | None:
    """Channel count in a wav header, which may be 0; None when the file is not wav or has no format chunk."""
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] not in (b"RIFF", b"RF64") or magic[8:12] != b"WAVE":
            return None
        for name, _ in _chunks(file):
            if name == b"fmt ":
                body = file.read(4)
                return int.from_bytes(body[2:4], "little") if len(body) == 4 else None
    return None


def ogg_links(path: Path) -> list[tuple[int, int]]:
    """First byte and end of every Ogg stream of Vorbis or Opus where one follows another, as in recordings of radio; of
    streams side by side, of all together. Streams without sound are left out; nothing for other files.
    """
    links: list[list[int]] = []  # first byte, end, whether there is sound
    begun = False
    with path.open("rb") as file:
        if not file.read(_OGG_HEADER + 256).startswith(b"OggS"):
            return []
        for at, page in _ogg_pages(file):
            table = page[_OGG_HEADER : _OGG_HEADER + page[26]]
            begins = bool(page[5] & _OGG_BEGINS)  # every stream has such a page, before all others of its own
            if begins and not links and not page[_OGG_HEADER + len(table) :].startswith(_OGG_CODECS):
                return []
            if begins and not begun:
                links.append([at, at, False])
            begun = begins
            if links:
                links[-1][1] = at + _OGG_HEADER + len(table) + sum(table)
                links[-1][2] |= 0 < int.from_bytes(page[6:14], "little") < 1 << 63  # its time
    return [(start, end) for start, end, sounds in links if sounds]


def _ogg_pages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Offset of every page, and its beginning."""
    at = 0
    while True:
        file.seek(at)
        page = file.read(_OGG_HEADER + 256)
        if len(page) < _OGG_HEADER:
            return
        if page.startswith(b"OggS"):
            yield at, page
            at += _OGG_HEADER + page[26] + sum(page[_OGG_HEADER : _OGG_HEADER + page[26]])
        else:
            later = page.find(b"OggS", 1)
            at += later if later > 0 else len(page) - 3


def _wav_end(file: BinaryIO) -> int:
    """Offset of the end of the data chunk as declared; 0 when unknown."""
    long_size = 0
    for name, size in _chunks(file):
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:16], "little")
        elif name == b"data":
            if size == 0xFFFFFFFF and long_size:
                size = long_size
            return 0 if _unknown(size) else file.tell() + size
    return 0


def _unknown(size: int) -> bool:
    return size == 0 or any(known - _LESS < size <= known for known in _UNKNOWN_SIZES)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and declared size of each RIFF chunk, with the file at the chunk's body."""
    start = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], "little")
        yield head[:4], size
        start += 8 + size + size % 2


def _ogg_missing(file: BinaryIO, size: int) -> int:
    """Bytes that the last page (RFC 3533) declares and does not have. A recorded stream may end without an end mark."""
    file.seek(max(0, size - 2 * _OGG_PAGE_MAX))
    tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return 1
    page = tail[start:]
    if len(page) < _OGG_HEADER:
        return _OGG_HEADER - len(page)
    table = page[_OGG_HEADER : _OGG_HEADER + page[26]]
    if len(table) < page[26]:
        return page[26] - len(table)
    return max(0, _OGG_HEADER + len(table) + sum(table) - len(page))


def _mp3_end(file: BinaryIO) -> int:
    """Offset of the end of the MPEG frames that a Xing or Info tag declares; 0 when there is none."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(4096)
    for tag in (b"Xing", b"Info"):
        at = frame.find(tag)
        if at >= 0 and len(frame) >= at + 16:
            flags = int.from_bytes(frame[at + 4 : at + 8], "big")
            if flags & 2:  # the byte count is there; the frame count before it is optional
                offset = at + 8 + (4 if flags & 1 else 0)
                return start + max(0, at - _XING_OFFSET_MAX) + int.from_bytes(frame[offset : offset + 4], "big")
    return 0
