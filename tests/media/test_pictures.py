"""Pictures in: the awkward ones of the corner folder, and properties checked on pictures made here."""

from __future__ import annotations

import csv
import importlib.util
import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from visioncli.errors import InputError
from visioncli.media import pictures
from visioncli.media.frame import Frame, Input


def read(where: Path | bytes) -> Frame:
    name = where.name if isinstance(where, Path) else "bytes"
    return pictures.read(Input(name, "picture", where, PurePath(name)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def corner(data: Path) -> Path:
    return data / "corner"


def test_the_corner_folder_agrees_with_its_index(corner: Path) -> None:
    with (corner / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 64
    wrong = []
    for row in rows:
        try:
            frame = read(corner / row["file"])
            answer, size = "ok", (frame.width, frame.height)
            assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
        except InputError as error:
            answer, size = "error", None
            assert row["file"] in error.message and "\n" not in str(error)
        free = row["either_outcome_defensible"] == "yes"
        if answer != row["expected"] and not free:
            wrong.append((row["file"], answer))
        if answer == row["expected"] == "ok" and size != (int(row["width"]), int(row["height"])):
            wrong.append((row["file"], size))
    assert wrong == []


def test_every_orientation_shows_the_same_picture(corner: Path) -> None:
    first = read(corner / "Portrait_1.jpg").image[::6, ::6].astype(int)
    for number in range(9):
        image = read(corner / f"Portrait_{number}.jpg").image
        assert image.shape == (1800, 1200, 3)
        assert np.abs(image[::6, ::6] - first).mean() < 6, number


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}  # the EXIF specification's meaning of each value


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("value", UPRIGHT)
def test_orientation_in_other_formats(kind: str, value: int) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    options = {"lossless": True} if kind == "WEBP" else {}
    frame = read(saved(Image.fromarray(stored), kind, exif=exif, **options))
    assert np.array_equal(frame.image, UPRIGHT[value](stored))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_nonsense_orientation_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    frame = read(saved(Image.new("RGB", (30, 20)), "JPEG", exif=exif))
    assert (frame.width, frame.height) == (30, 20)


def test_pixels_equal_opencvs(data: Path) -> None:
    """What ultralytics reads (cv2.imread) and what we read is the same, bit for bit, for JPEG."""
    files = sorted((data / "coco" / "images").glob("*.jpg"))[:24]
    assert len(files) == 24
    for path in files:
        assert np.array_equal(read(path).image, cv2.imread(str(path))[..., ::-1]), path.name


def test_deep_samples_are_scaled_by_their_bits(corner: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    for kind in ("PNG", "TIFF"):
        image = read(saved(Image.fromarray(ramp), kind)).image
        assert np.array_equal(image[0, :, 0], ramp[0] >> 8)
    with Image.open(corner / "12bit.cropped.tif") as twelve:
        assert np.array_equal(read(corner / "12bit.cropped.tif").image[..., 0], np.asarray(twelve) >> 4)
    pgm = b"P5\n2 1\n65535\n" + struct.pack(">2H", 0, 65535)
    assert read(pgm).image[0, :, 0].tolist() == [0, 255]


def test_samples_without_a_known_range_are_refused() -> None:
    whole = Image.fromarray(np.array([[0, 1 << 20]], np.int32))
    real = Image.fromarray(np.array([[-1.0, 7.5]], np.float32))
    for image in (whole, real):
        with pytest.raises(InputError) as caught:
            read(saved(image, "TIFF"))
        assert caught.value.kind == "unsupported"
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert read(saved(unit, "TIFF")).image[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("P", 0, "PNG", (0, 0, 0)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("LA", (77, 0), "PNG", (77, 77, 77)),
        ("RGBA", (10, 20, 30, 0), "PNG", (10, 20, 30)),
        ("LAB", (255, 128, 128), "TIFF", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(mode: str, colour: object, kind: str, expected: tuple[int, ...]) -> None:
    image = Image.new(mode, (8, 8), colour)  # type: ignore[arg-type]
    assert np.abs(read(saved(image, kind)).image[4, 4].astype(int) - expected).max() <= 1


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for kind in ("GIF", "PNG", "TIFF"):
        assert read(saved(red, kind, save_all=True, append_images=[blue])).image[4, 4].tolist() == [255, 0, 0]


def test_format_and_colour_profile_are_kept(corner: Path) -> None:
    frame = read(corner / "icc_truncated_exif_dpi.jpg")
    assert frame.format == "JPEG" and frame.icc is not None and len(frame.icc) == 1992
    assert read(corner / "hopper.avif").format == "AVIF"
    assert (frame.index, frame.time, frame.pts) == (None, None, None)


BOMB = """
import re, sys, time
from pathlib import Path, PurePath
from visioncli.errors import InputError
from visioncli.media import pictures
from visioncli.media.frame import Input
began = time.perf_counter()
try:
    pictures.read(Input("bomb", "picture", Path(sys.argv[1]), PurePath("bomb")))
except InputError as error:
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
    print(error.kind, time.perf_counter() - began, peak)
"""


def png_of_zeros(side: int) -> bytes:
    """A whole, valid grey PNG of `side` × `side` pixels, made in no time: one piece of deflate repeated."""
    piece = zlib.compressobj(9, zlib.DEFLATED, -15)
    rows = piece.compress(bytes((side + 1) * 100)) + piece.flush(zlib.Z_FULL_FLUSH)
    adler = (side * (side + 1) % 65521) << 16 | 1
    body = b"\x78\x01" + rows * (side // 100) + b"\x03\x00" + struct.pack(">I", adler)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + body, b"IEND")
    packed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    assert read(png_of_zeros(300)).image.shape == (300, 300, 3)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_zeros(30_000))
    ran = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    kind, seconds, kib = ran.stdout.split()
    assert kind == "too_large" and float(seconds) < 0.5 and int(kib) < 150 * 1024
    assert ran.stderr == ""


def test_the_limit_holds_where_pillow_only_warns() -> None:
    for size in ((10_000, 9_000), (1, 90_000_000)):
        data = bytearray(saved(Image.new("1", (8, 8)), "PNG"))
        data[16:24] = struct.pack(">II", *size)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        with pytest.raises(InputError) as caught:
            read(bytes(data))
        assert caught.value.kind == "too_large"


def test_reasons(corner: Path, tmp_path: Path) -> None:
    for name, kind, words in (
        ("zero_bytes.jpg", "decode", "empty"),
        ("text_renamed.jpg", "decode", "text, not a picture"),
        ("cut_half.jpg", "decode", "cut off"),
        ("wrong_crc_ihdr.png", "decode", "damaged"),
        ("decompression_bomb.gif", "too_large", "megapixels"),
        ("png_decompression_dos.png", "too_large", "too large"),
    ):
        with pytest.raises(InputError) as caught:
            read(corner / name)
        assert caught.value.kind == kind and words in caught.value.message
    with pytest.raises(InputError) as caught:
        read(tmp_path / "none.jpg")
    assert caught.value.kind == "not_found"
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert caught.value.kind == "unreadable"


def test_postscript_is_not_handed_to_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(InputError):
        read(path)


def test_threads_agree_and_leave_no_trace(corner: Path) -> None:
    files = [
        p for p in sorted(corner.iterdir()) if p.suffix not in (".csv", ".md") and p.stat().st_size < 60_000
    ]
    filters, limit, opener = list(warnings.filters), Image.MAX_IMAGE_PIXELS, Image.open

    def answer(path: Path) -> object:
        try:
            return read(path).image.tobytes()
        except InputError as error:
            return str(error)

    alone = [answer(path) for path in files]
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("always")
        together = list(pool.map(answer, files * 4))
    assert together == alone * 4
    assert [str(w.message) for w in caught] == []
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS, Image.open) == (filters, limit, opener)


def test_warnings_of_others_still_come_through(corner: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = corner / "invalid-exif.jpg"
        with pictures.opened(Input("a", "picture", path, PurePath("a"))):
            warnings.warn("somebody else's", stacklevel=1)
    assert [str(w.message) for w in caught] == ["somebody else's"]


SMALL = (
    *("hopper.bmp", "hopper.ppm", "i_trns.png", "pal8rle.bmp", "transparent.webp", "chi.gif", "rgb.jpg"),
    *("multipage.tiff", "hopper.avif", "python.ico", "200x32_rgb_tl_rle.tga", "invalid-exif.jpg"),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_an_error_with_a_reason_or_a_picture(corner: Path, data: st.DataObject) -> None:
    damaged = bytearray((corner / data.draw(st.sampled_from(SMALL))).read_bytes())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=8)):
        damaged[place % len(damaged)] = value
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        frame = read(bytes(damaged[: max(cut, len(damaged) // 2)]))
    except InputError as error:
        assert error.message.startswith("bytes: ") and "\n" not in error.message
    else:
        assert frame.image.ndim == 3 and frame.image.shape[2] == 3


def test_heic_says_what_it_needs_or_is_read(corner: Path) -> None:
    if importlib.util.find_spec("pillow_heif") is None:
        with pytest.raises(InputError, match=r"visioncli\[heic\]") as caught:
            read(corner / "hopper.heif")
        assert caught.value.kind == "unsupported"
    else:
        assert read(corner / "hopper.heif").image.shape == (128, 128, 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_smaller_jpeg_has_the_size_of_the_file(orientation: int) -> None:
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.repeat(ramp[None, :, None], 1200, 0), 3, 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = Input("a.jpg", "picture", saved(image, "JPEG", quality=95, exif=exif), PurePath("a.jpg"))
    whole, small = pictures.read(source), pictures.read(source, least=500)
    assert (small.width, small.height) == (whole.width, whole.height)
    assert min(small.image.shape[:2]) == 600  # halves and quarters are to be had: 300 is too small
    near = np.asarray(Image.fromarray(whole.image).resize(small.image.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(near.astype(int) - small.image).mean() < 2


def test_what_is_no_large_jpeg_comes_whole() -> None:
    image = Image.new("RGB", (1600, 1200), (10, 200, 30))
    for kind, least in (("PNG", 500), ("JPEG", 1200), ("JPEG", 5000)):
        source = Input("a", "picture", saved(image, kind), PurePath("a"))
        assert pictures.read(source, least=least).image.shape == (1200, 1600, 3)
