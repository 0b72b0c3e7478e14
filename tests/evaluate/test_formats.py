"""The same objects as COCO, YOLO and VOC have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from visioncli.errors import InputError, UsageError
from visioncli.evaluate import coco_json, find
from visioncli.evaluate.data import BoxSet

VAL = "annotations/instances_val2017.json"


def pictures(folder: Path, *names: str, size: tuple[int, int] = (200, 100)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", size).save(folder / name)


def yolo(folder: Path, labels: dict[str, str], names: str = "[cat, dog]") -> Path:
    pictures(folder / "images" / "val", *(f"{name}.jpg" for name in labels))
    (folder / "labels" / "val").mkdir(parents=True)
    for name, text in labels.items():
        if text:
            (folder / "labels" / "val" / f"{name}.txt").write_text(text)
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnames: {names}\n")
    return folder


def test_yolo(tmp_path: Path) -> None:
    data = find.boxes(yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.2 0.2\n", "b": ""}))
    assert (data.format, data.names, len(data.pictures)) == ("YOLO", {0: "cat", 1: "dog"}, 2)
    dog, cat = data.annotations
    assert dog["bbox"] == pytest.approx([80, 30, 40, 40])
    assert (dog["category_id"], dog["id"], cat["id"]) == (1, 1, 2)
    assert dog["area"] == pytest.approx(1600)
    assert not data.masks


def test_yolo_polygons(tmp_path: Path) -> None:
    data = find.boxes(yolo(tmp_path, {"a": "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n"}, "{0: cat}"))
    (cat,) = data.annotations
    assert data.masks
    assert cat["bbox"] == pytest.approx([20, 10, 40, 40])
    assert cat["area"] == pytest.approx(1600)
    assert find.pixels(tmp_path) == data


@pytest.mark.parametrize("line", ["7 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1", "0 a b c d", "0 0.1 0.1 0.3 0.1 0.3"])
def test_yolo_lines_that_are_none(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"a\.txt:1"):
        find.boxes(yolo(tmp_path, {"a": line}))


@pytest.mark.parametrize(
    "text", ["[", "names: 5\nval: x", "names: {a: b}\nval: x", "val: x", "names: [a]", "5"]
)
def test_yaml_that_is_no_data_set(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"data\.yaml"):
        find.boxes(tmp_path)


def test_yolo_of_a_turned_picture(tmp_path: Path) -> None:
    yolo(tmp_path, {"a": "0 0.5 0.5 1 1\n"})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "val" / "a.jpg", exif=exif)
    data = find.boxes(tmp_path)
    assert (data.pictures[0].width, data.pictures[0].height) == (100, 200)


def voc(folder: Path) -> Path:
    pictures(folder / "JPEGImages", "a.jpg", "b.jpg")
    (folder / "Annotations").mkdir()
    for name in ("a", "b"):
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><size><width>200</width><height>100</height></size>"
            "<object><name>dog</name><difficult>0</difficult>"
            "<bndbox><xmin>1</xmin><ymin>11</ymin><xmax>200</xmax><ymax>100</ymax></bndbox></object>"
            "<object><name>cat</name><difficult>1</difficult>"
            "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
        )
    return folder


def test_voc(tmp_path: Path) -> None:
    data = find.boxes(voc(tmp_path))
    assert (data.format, dict(data.names), len(data.pictures)) == ("VOC", {1: "cat", 2: "dog"}, 2)
    dog, cat = data.annotations[:2]
    assert dog["bbox"] == [0, 10, 200, 90], "corners count from 1 and belong to the box"
    assert (dog["iscrowd"], cat["iscrowd"]) == (0, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [("<width>200", "<width>wide"), ("<xmin>1", "<xmin>left"), ("<name>dog</name>", ""), ("</object>", "")],
)
def test_xml_that_is_no_annotation(tmp_path: Path, old: str, new: str) -> None:
    file = voc(tmp_path) / "Annotations" / "b.xml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"b\.xml"):
        find.boxes(tmp_path)


def test_voc_split(tmp_path: Path) -> None:
    (voc(tmp_path) / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("b\n")
    assert [p.path.name for p in find.boxes(tmp_path).pictures] == ["b.jpg"]
    with pytest.raises(UsageError, match="--split"):
        find.boxes(tmp_path, "train")


def coco(folder: Path, annotations: str, images: str) -> Path:
    tree = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 0, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20]},
            {"id": 0, "image_id": 99, "category_id": 3, "bbox": [1, 2, 10, 20]},
        ],
    }
    pictures(folder / images, "a.jpg")
    (folder / annotations).parent.mkdir(parents=True, exist_ok=True)
    (folder / annotations).write_text(json.dumps(tree))
    return folder


@pytest.mark.parametrize(
    ("annotations", "images", "named", "name"),
    [
        (VAL, "val2017", "val2017", "{} val2017"),
        (VAL, "val2017", "", "{} val2017"),
        (VAL, "images/val2017", VAL, "{} val2017"),
        ("instances.json", "images", "", "{}"),
        ("train.json", ".", "", "{} train"),
    ],
)  # fmt: skip
def test_where_coco_is(tmp_path: Path, annotations: str, images: str, named: str, name: str) -> None:
    coco(tmp_path, annotations, images)
    data = find.boxes(tmp_path / named)
    assert data.name == name.format(tmp_path.name)
    assert data.pictures[0].path.is_file()
    (one,) = data.annotations
    assert (one["id"], one["area"], one["iscrowd"]) == (1, 200.0, 0), "evaluators take 0 for nothing"


NO_PICTURES = '{"images": [], "annotations": [], "categories": []}'
NO_NAMES = '{"images": [{"id": 1}], "annotations": [], "categories": []}'


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', NO_PICTURES, NO_NAMES])
def test_coco_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=r"a\.json"):
        coco_json.load(tmp_path / "a.json")


@pytest.mark.parametrize("look", [find.boxes, find.labels, find.pixels, find.tracks])
def test_nothing_there(tmp_path: Path, look: object) -> None:
    with pytest.raises(UsageError, match="no data set"):
        look(tmp_path)  # type: ignore[operator]
    with pytest.raises(UsageError, match="no such file"):
        look(tmp_path / "missing")  # type: ignore[operator]


def test_objects_without_masks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no masks"):
        find.pixels(voc(tmp_path))
    assert isinstance(find.boxes(tmp_path), BoxSet)
