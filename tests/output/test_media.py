"""Annotated media and crops: names, formats, refusals."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageCms

from visioncli.errors import OutputError, UsageError
from visioncli.media import pictures
from visioncli.media.frame import Frame, Input
from visioncli.media.video_in import open_video
from visioncli.output.images import save_image
from visioncli.output.media import MediaSink, check_new_file
from visioncli.output.objects import crop, safe_label
from visioncli.results import Classes, Detections, Result

NAMES = ["person", "traffic light/röd", "日本 語"]


def picture(relative: str, where: Path | bytes | None = None) -> Input:
    return Input(f"in/{relative}", "picture", where if where is not None else b"", PurePath(relative))


def frame(format: str | None = "JPEG", size: tuple[int, int] = (64, 48), **more: bytes) -> Frame:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Frame(pixels, format=format, icc=more.get("icc"))


def result(of: Frame, boxes: list[list[float]] | None = None) -> Result:
    boxes = [[10, 10, 40, 40]] if boxes is None else boxes
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.4, len(boxes), dtype=np.float32),
        np.arange(len(boxes), dtype=np.int64) % 3,
    )
    return Result("x", of.width, of.height, found, NAMES, of.index, of.time)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("name", "format", "want"),
    [
        ("a.jpg", "JPEG", "a.jpg"),
        ("a.JPEG", "JPEG", "a.JPEG"),
        ("a.jfif", "JPEG", "a.jfif"),
        ("a", "JPEG", "a.jpg"),
        ("a.mpo", "MPO", "a.jpg"),
        ("a.png", "PNG", "a.png"),
        ("a.png", "JPEG", "a.jpg"),
        ("a.webp", "WEBP", "a.webp"),
        ("a.tif", "TIFF", "a.png"),
        ("a.gif", "GIF", "a.png"),
        ("shot.2026", "PNG", "shot.2026.png"),
        ("-", "PNG", "stdin.png"),
        (".jpg", "JPEG", ".jpg.jpg"),
        ("a b\nc é.jpg", "JPEG", "a b\nc é.jpg"),
        ("-dash.png", "PNG", "-dash.png"),
    ],
)
def test_the_format_and_the_suffix_agree(tmp_path: Path, name: str, format: str, want: str) -> None:
    sink, shot = MediaSink(tmp_path / "out"), frame(format)
    path = sink.save_picture(picture(name), shot, result(shot))
    assert path == tmp_path / "out" / want
    with PillowImage.open(path) as image:
        assert image.format == {".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
        assert image.size == (64, 48)


def test_names_are_flat_until_they_collide(tmp_path: Path) -> None:
    sink, shot = MediaSink(tmp_path), frame()
    inputs = [
        picture("a.jpg"),
        picture("sub/b.jpg"),
        picture("sub/a.jpg"),  # a.jpg is taken: its tree
        picture("a.jpg", tmp_path / "elsewhere" / "a.jpg"),  # no tree: its parent's name
        picture("a.jpg", tmp_path / "elsewhere" / "a.jpg"),  # the same again: a number
        picture("sub/a.jpg"),
        picture("a.jpg"),
    ]
    paths = [sink.reserve(i, shot).media for i in inputs]
    want = ["a.jpg", "b.jpg", "sub/a.jpg", "elsewhere/a.jpg", "a-2.jpg", "sub/a-2.jpg", "a-3.jpg"]
    assert [p.relative_to(tmp_path).as_posix() for p in paths if p is not None] == want


@given(
    st.lists(
        st.sampled_from(
            ["a.jpg", "x/a.jpg", "y/a.jpg", "a-2.jpg", "a.png", "../a.jpg", "/etc/a.jpg", "..", ""]
        )
    )
)
def test_names_are_distinct_and_stay_inside(names: list[str]) -> None:
    root = Path("nowhere-at-all")
    sink = MediaSink(root)
    paths = [sink.reserve(picture(name), frame()).media for name in names]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert path is not None
        assert path.is_relative_to(root)
        assert ".." not in path.parts
    assert not root.exists()


def test_a_parent_that_is_above_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = MediaSink(Path("out"))
    paths = [sink.reserve(picture("a.jpg", Path("..") / "a.jpg"), frame()).media for _ in range(3)]
    assert paths == [Path("out/a.jpg"), Path("out/a-2.jpg"), Path("out/a-3.jpg")]


def test_a_name_of_the_longest_kind(tmp_path: Path) -> None:
    sink, shot = MediaSink(tmp_path, crops=tmp_path / "crops"), frame("TIFF")
    for _ in range(2):
        path = sink.save_picture(picture("ö" * 125 + ".tif"), shot, result(shot))
        assert path is not None
        assert path.is_file()
    assert len(files(tmp_path)) == 4


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    save_image(source, frame().image)
    before = source.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (tmp_path, tmp_path / "link"):
        for force in (False, True):
            with pytest.raises(UsageError, match="is an input"):
                MediaSink(out, named=True, force=force).reserve(picture("a.jpg", source), frame())
    assert source.read_bytes() == before


def test_existing_files(tmp_path: Path) -> None:
    """In the default folder they are overwritten, in a named one only with force."""
    shot = frame()
    (tmp_path / "a.jpg").write_bytes(b"old")
    (tmp_path / "other.txt").write_bytes(b"old")
    with pytest.raises(UsageError, match=r"a\.jpg exists already.*--force") as caught:
        MediaSink(tmp_path, named=True).reserve(picture("a.jpg"), shot)
    assert caught.value.exit_code == 2
    assert MediaSink(tmp_path, named=True).save_picture(picture("b.jpg"), shot, result(shot))
    for sink in (MediaSink(tmp_path, named=True, force=True), MediaSink(tmp_path)):
        (tmp_path / "a.jpg").write_bytes(b"old")
        sink.save_picture(picture("a.jpg"), shot, result(shot))
        assert (tmp_path / "a.jpg").read_bytes() != b"old"
    assert (tmp_path / "other.txt").read_bytes() == b"old"


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        MediaSink(tmp_path / "file")
    with pytest.raises(OutputError, match="is a file"):
        MediaSink(tmp_path / "file" / "out")
    MediaSink(tmp_path / "new" / "deep")
    assert files(tmp_path) == ["file"]


def test_a_file_that_the_user_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    check_new_file(path, force=False)
    path.write_text("old")
    with pytest.raises(UsageError, match="exists already"):
        check_new_file(path, force=False)
    check_new_file(path, force=True)
    check_new_file(Path("/dev/null"), force=False)
    with pytest.raises(UsageError, match="is a folder"):
        check_new_file(tmp_path, force=True)
    with pytest.raises(OutputError, match="no such folder"):
        check_new_file(tmp_path / "gone" / "a", force=False)


def test_the_profile_is_kept_and_exif_is_not(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[0x010F] = "camera"
    source = io.BytesIO()
    PillowImage.fromarray(frame().image).save(source, "JPEG", exif=exif, icc_profile=profile)
    given_input = picture("a.jpg", source.getvalue())
    shot = pictures.read(given_input)
    for format in ("JPEG", "PNG", "WEBP"):
        copy = Frame(shot.image, format=format, icc=shot.icc)
        path = MediaSink(tmp_path / format).save_picture(given_input, copy, result(copy))
        assert path is not None
        with PillowImage.open(path) as image:
            assert image.info["icc_profile"] == profile
            assert not dict(image.getexif())
    grey = bytearray(profile)
    grey[16:20] = b"GRAY"
    save_image(tmp_path / "b.jpg", shot.image, icc=bytes(grey))
    with PillowImage.open(tmp_path / "b.jpg") as image:
        assert "icc_profile" not in image.info


def test_pixels_survive(tmp_path: Path) -> None:
    """PNG exactly; JPEG and WebP nearly, and thin coloured lines in JPEG keep their colour."""
    image = np.full((64, 64, 3), 128, np.uint8)
    image[:, 20] = (0, 200, 60)
    for suffix, most in ((".png", 0), (".jpg", 16), (".webp", 60)):
        path = tmp_path / f"a{suffix}"
        save_image(path, image)
        with PillowImage.open(path) as written:
            assert abs(np.asarray(written.convert("RGB")).astype(int)[:, 20] - image[:, 20]).mean() <= most


def test_what_a_format_cannot_hold_becomes_png(tmp_path: Path) -> None:
    shot = frame("WEBP", (20_000, 2))
    assert MediaSink(tmp_path).save_picture(picture("a.webp"), shot, result(shot)) == tmp_path / "a.png"


def test_crops(tmp_path: Path) -> None:
    shot = frame()
    boxes = [[10.2, 10.7, 40, 39.1], [-20, -20, 5, 5], [63.9, 47.9, 90, 90], [30, 20, 30, 20]]
    sink = MediaSink(tmp_path / "out", crops=tmp_path / "crops")
    sink.save_picture(picture("a.jpg"), shot, result(shot, boxes))
    sink.save_picture(picture("sub/a.png"), shot, result(shot, boxes[:1]))
    first = ["a-1-person.jpg", "a-2-traffic_light_röd.jpg", "a-3-日本_語.jpg", "a-4-person.jpg"]
    assert files(tmp_path / "crops") == [*first, "sub/a-1-person.jpg"]
    sizes = []
    for name in files(tmp_path / "crops"):
        with PillowImage.open(tmp_path / "crops" / name) as image:
            sizes.append(image.size)
    assert sizes == [(30, 30), (5, 5), (1, 1), (1, 1), (30, 30)]
    with PillowImage.open(tmp_path / "crops" / "a-1-person.jpg") as image:  # without the drawing
        assert abs(np.asarray(image).astype(int) - shot.image[10:40, 10:40]).mean() < 12


def test_crops_without_annotated_media(tmp_path: Path) -> None:
    shot = frame()
    assert MediaSink(None, crops=tmp_path).save_picture(picture("a.jpg"), shot, result(shot)) is None
    assert files(tmp_path) == ["a-1-person.jpg"]
    labels = Result("x", 64, 48, Classes(np.array([0]), np.array([0.9], np.float32)), NAMES)
    MediaSink(None, crops=tmp_path).save_picture(picture("b.jpg"), shot, labels)
    assert files(tmp_path) == ["a-1-person.jpg"]


@given(
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4),
)
def test_any_crop_has_a_pixel(size: tuple[int, int], box: list[float]) -> None:
    part = crop(np.zeros((*size, 3), np.uint8), box)
    assert part.shape[0] >= 1
    assert part.shape[1] >= 1


@given(st.text(max_size=200))
def test_labels_are_safe_in_file_names(label: str) -> None:
    name = safe_label(label)
    assert 0 < len(name.encode()) <= 60
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name not in (".", "..")


def test_threads_save_what_was_reserved_in_order(tmp_path: Path) -> None:
    sink, shot = MediaSink(tmp_path), frame("PNG")
    inputs = [picture(f"{i % 7}/a.png") for i in range(40)]
    targets = [sink.reserve(i, shot) for i in inputs]
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(sink.save_picture, i, shot, result(shot), t)
            for i, t in zip(inputs, targets, strict=True)
        ]
        saved = [job.result() for job in jobs]
    assert saved == [t.media for t in targets]
    assert len(files(tmp_path)) == 40


def test_a_video_and_its_crops(data: Path, tmp_path: Path) -> None:
    source = data / "video" / "imageio_realshort.mp4"
    video = Input("realshort", "video", source, PurePath("deep/realshort.webm"))
    sink = MediaSink(tmp_path / "out", crops=tmp_path / "crops", named=True)
    with open_video(video, stride=10) as reader:
        handle = sink.video(video, reader.info)
        for shot in reader:
            handle.write(shot, result(shot))
        assert not (tmp_path / "out" / "realshort.mp4").exists()
        assert handle.close() == tmp_path / "out" / "realshort.mp4"
    with av.open(str(tmp_path / "out" / "realshort.mp4")) as container:
        assert len(list(container.decode(video=0))) == 4
        assert container.streams.audio
    assert files(tmp_path / "crops") == [f"realshort-{i:06d}-1-person.jpg" for i in (0, 10, 20, 30)]


def test_an_aborted_video_leaves_nothing(data: Path, tmp_path: Path) -> None:
    source = data / "video" / "imageio_realshort.mp4"
    video = Input("realshort", "video", source, PurePath("realshort.mp4"))
    with open_video(video) as reader:
        handle = MediaSink(tmp_path).video(video, reader.info)
        shot = next(reader)
        handle.write(shot, result(shot))
        handle.abort()
    assert files(tmp_path) == []
    with open_video(video) as reader, pytest.raises(UsageError, match="is an input"):
        MediaSink(source.parent).video(Input("x", "video", source, PurePath(source.name)), reader.info)
