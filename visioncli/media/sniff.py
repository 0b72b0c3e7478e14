"""What a file is, from its first bytes: a picture, a video, only sound, text, or none of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

# MPEG-TS shows itself by three sync bytes 188 (or 192, or 204) bytes apart; everything else sooner.
HEAD = 4096

What = Literal["picture", "video", "sound", "text"]


@dataclass(frozen=True, slots=True)
class Media:
    """What the bytes are, the suffix that such files carry, and whether a picture has several frames."""

    what: What
    suffix: str
    animated: bool = False


PICTURE_SUFFIXES = frozenset(
    [
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff"),
        *("avif", "avifs", "heic", "heif", "hif", "jp2", "j2k", "jpf", "jpx", "jxl", "ico", "cur", "icns"),
        *("pbm", "pgm", "ppm", "pnm", "pfm", "tga", "psd", "qoi", "dds", "pcx", "sgi", "rgb", "rgba", "bw"),
    ]
)
VIDEO_SUFFIXES = frozenset(
    [
        *("mp4", "m4v", "mov", "qt", "3gp", "3g2", "f4v", "mkv", "mk3d", "webm", "avi", "divx", "wmv", "asf"),
        *("flv", "mpg", "mpeg", "mpe", "mpv", "m1v", "m2v", "vob", "ts", "mts", "m2t", "m2ts", "ogv", "ogm"),
        *("mxf", "nut", "ivf", "obu", "h264", "h265", "hevc", "mjpeg", "mjpg", "y4m", "dv", "rm", "rmvb"),
    ]
)

_MAGIC: tuple[tuple[bytes, Media], ...] = (
    (b"\xff\xd8\xff", Media("picture", ".jpg")),
    (b"\0\0\0\x0cjP  ", Media("picture", ".jp2")),
    (b"\xff\x4f\xff\x51", Media("picture", ".j2k")),
    (b"II*\0", Media("picture", ".tif")),
    (b"MM\0*", Media("picture", ".tif")),
    (b"II+\0", Media("picture", ".tif")),
    (b"MM\0+", Media("picture", ".tif")),
    (b"\0\0\1\0", Media("picture", ".ico")),
    (b"8BPS", Media("picture", ".psd")),
    (b"qoif", Media("picture", ".qoi")),
    (b"DDS ", Media("picture", ".dds")),
    (b"icns", Media("picture", ".icns")),
    (b"\1\xda", Media("picture", ".sgi")),
    (b"\xff\x0a", Media("picture", ".jxl")),
    (b"\0\0\0\x0cJXL ", Media("picture", ".jxl")),
    (b"0&\xb2u\x8ef\xcf\x11", Media("video", ".wmv")),
    (b"FLV\1", Media("video", ".flv")),
    (b".RMF", Media("video", ".rm")),
    (b"DKIF", Media("video", ".ivf")),
    (b"YUV4MPEG2 ", Media("video", ".y4m")),
    (b"\x06\x0e\x2b\x34", Media("video", ".mxf")),
    (b"nut/multimedia", Media("video", ".nut")),
    (b"\0\0\1\xba", Media("video", ".mpg")),
    (b"\0\0\1\xb3", Media("video", ".m2v")),
    (b"\0\0\0\1\x67", Media("video", ".h264")),
    (b"\0\0\0\1\x09", Media("video", ".h264")),
    (b"\0\0\0\1\x40\1", Media("video", ".h265")),
    (b"\x12\0\x0a", Media("video", ".obu")),
    (b"ID3", Media("sound", ".mp3")),
    (b"fLaC", Media("sound", ".flac")),
)

_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def sniff(head: bytes) -> Media | None:
    """What a file is that begins with `head` (up to `HEAD` bytes of it); None if nothing known.

    A raw sound or a format without a mark (TGA, PCX) is None too: there the suffix has to do.
    """
    for magic, media in _MAGIC:
        if head.startswith(magic):
            return media
    for look in (_png, _gif, _riff, _iso, _matroska, _ogg, _bitmap, _netpbm, _transport_stream):
        if found := look(head):
            return found
    return Media("text", ".txt") if _is_text(head) else None


def by_suffix(name: str | PurePath) -> Literal["picture", "video"] | None:
    """What a file's name says it is; None if it says nothing."""
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    return "video" if suffix in VIDEO_SUFFIXES else None


def _png(head: bytes) -> Media | None:
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    animation = head.find(b"acTL")
    return Media("picture", ".png", animated=0 < animation < (head.find(b"IDAT") % (HEAD + 1)))


def _gif(head: bytes) -> Media | None:
    # Whether a GIF moves is known only after its first picture: it may pass as a video.
    return Media("picture", ".gif", animated=True) if head.startswith((b"GIF87a", b"GIF89a")) else None


def _riff(head: bytes) -> Media | None:
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64"):
        return None
    kind = head[8:12]
    if kind == b"WEBP":
        moves = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
        return Media("picture", ".webp", animated=moves)
    if kind in (b"AVI ", b"AVIX"):
        return Media("video", ".avi")
    return Media("sound", ".wav") if kind == b"WAVE" else None


def _iso(head: bytes) -> Media | None:
    """ISO base media (MP4, MOV, HEIF, AVIF): the brand decides."""
    if head[4:8] in _QUICKTIME:
        return Media("video", ".mov")
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    if brand in _AVIF + _HEIF:
        compatible = head[16 : min(int.from_bytes(head[:4], "big"), 256)]
        suffix = ".avif" if brand in _AVIF or b"avif" in compatible else ".heic"
        return Media("picture", suffix, animated=brand in (b"avis", b"msf1", b"hevc", b"hevx"))
    if brand in (b"M4A ", b"M4B ", b"M4P "):
        return Media("sound", ".m4a")
    return Media("video", ".mov" if brand == b"qt  " else ".mp4")


def _matroska(head: bytes) -> Media | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return Media("video", ".webm" if b"webm" in head[:64] else ".mkv")


def _ogg(head: bytes) -> Media | None:
    if not head.startswith(b"OggS"):
        return None
    moves = any(mark in head[:512] for mark in (b"\x80theora", b"OVP80", b"\1video", b"BBCD", b"fishead"))
    return Media("video", ".ogv") if moves else Media("sound", ".ogg")


def _bitmap(head: bytes) -> Media | None:
    # "BM" alone begins many a text: the header's reserved and size fields tell.
    if head[:2] == b"BM" and len(head) >= 18 and head[6:10] == b"\0\0\0\0" and head[15:18] == b"\0\0\0":
        return Media("picture", ".bmp")
    return None


def _netpbm(head: bytes) -> Media | None:
    if re.match(rb"P[1-6]\s+(#[^\n]*\n\s*)*-?\d+\s", head) or re.match(rb"P[Ff]\s+\d+\s+\d+\s", head):
        return Media("picture", ".ppm")
    return None


def _transport_stream(head: bytes) -> Media | None:
    for offset, step in ((0, 188), (4, 192), (0, 204)):
        if head[offset : offset + 2 * step + 1 : step] == b"GGG":
            return Media("video", ".ts" if step != 192 else ".m2ts")
    return None


def _is_text(head: bytes) -> bool:
    """Whether it could be lines of text: no NUL and few control characters (names may be in any encoding)."""
    if not head or b"\0" in head:
        return False
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return control * 100 <= len(head)
