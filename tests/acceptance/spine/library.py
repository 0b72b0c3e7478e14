"""Parity: the answers of the libraries that own the networks, thresholds passed to both."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable

import numpy as np

from tests.acceptance import World, bar, check

YOLOS = ("yolo26n", "yolo11n", "yolov8n")
TORCHVISION = {
    "Faster R-CNN": "fasterrcnn_resnet50_fpn",
    "SSD": "ssd300_vgg16",
    "SSDlite": "ssdlite320_mobilenet_v3_large",
    "RetinaNet": "retinanet_resnet50_fpn",
    "FCOS": "fcos_resnet50_fpn",
}


def apart(count: int, boxes: float, scores: float) -> str:
    """Promise 1 in figures; parity helpers have compared counts and labels already."""
    figure = f"{count} boxes, at most {boxes:.4f} px and {scores:.1e} in the score apart"
    return bar(boxes <= 0.5 and scores <= 1e-3, figure)


def yolo_alone(name: str, world: World) -> str:
    from tests.parity.ultralytics_own import parity

    pictures = sorted((world.data / "coco" / "images").glob("*.jpg"))
    count, difference = parity(name, world.weights / f"{name}.pt", pictures)
    return f"{len(pictures)}/{len(pictures)} pictures, {apart(count, difference.boxes, difference.scores)}"


def yolo_folder(name: str, world: World) -> str:
    from tests.parity.test_ultralytics import folder_run_parity

    def vision(*arguments: object, timeout: float) -> subprocess.CompletedProcess[bytes]:
        done = world.vision(*arguments)
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.encode(), done.stderr.encode()
        )

    return apart(*folder_run_parity(name, world.weights, world.data, vision, world.folder(f"folder {name}")))


def seeded(name: str, world: World) -> str:
    from tests.parity.test_ultralytics import seeded_parity

    return apart(*seeded_parity(name, world.data, world.folder(f"seeded {name}")))


def torchvision_detector(factory: str, world: World) -> str:
    """Two pictures through the library's own call and through ours, the same seeded weights in both."""
    import torch

    from tests.parity.answering import read_pictures
    from tests.parity.test_torchvision import Pair, pair_parity

    torch.set_num_threads(2)
    pictures = read_pictures(world.data / "coco" / "images", 2)
    pair = Pair(factory, None, pictures, world.folder(f"seeded {factory}"))
    return apart(*pair_parity(pair, pictures))


@check("11.2", "top-5 of MobileNetV2 as torchvision's own call")
def mobilenet(world: World) -> str:
    import torch
    import torchvision
    from PIL import Image

    from tests.acceptance.spine.quality import labels
    from visioncli import load

    torch.set_num_threads(1)  # a small network: threads would wait for each other
    path = world.weights / "mobilenet_v2.pth"
    model = torchvision.models.mobilenet_v2().eval()
    model.load_state_dict(torch.load(path, weights_only=True))
    transform = torchvision.models.get_model_weights("mobilenet_v2").DEFAULT.transforms()
    ours, worst, pictures = (
        load("mobilenet_v2", weights_dir=world.weights, offline=True),
        0.0,
        labels(world.data),
    )
    for picture in pictures:
        with Image.open(picture) as image, torch.inference_mode():
            scores, classes = model(transform(image.convert("RGB"))[None]).softmax(-1)[0].topk(5)
        answer = ours(picture)
        assert answer.classes.tolist() == classes.tolist(), picture.name
        worst = max(worst, float(np.abs(answer.scores - scores.numpy()).max()))
    return bar(worst <= 1e-5, f"{len(pictures)}/{len(pictures)} pictures, scores at most {worst:.1e} apart")


@check("11.2", "top-5 of YOLO11n-cls as Ultralytics' predict")
def classifier(world: World) -> str:
    from tests.parity.test_ultralytics import classifier_parity

    count, worst = classifier_parity(world.weights, world.data, 200)
    return bar(worst <= 1e-5, f"{count}/{count} pictures, scores at most {worst:.1e} apart")


@check("11.2", "mAP of YOLO26n beside the library's predictor")
def same_map(world: World) -> str:
    from tests.acceptance.spine.quality import BOXES, coco_map, our_boxes
    from tests.parity.ultralytics_own import detect, predictor

    theirs = predictor(world.weights / "yolo26n.pt")
    found: dict[str, list[tuple[int, float, list[float]]]] = {}
    for picture in sorted((world.data / "coco" / "images").glob("*.jpg")):
        answer = detect(theirs, picture, **BOXES)
        rows = zip(answer.classes.tolist(), answer.scores.tolist(), answer.boxes.tolist(), strict=True)
        found[picture.name] = list(rows)
    names = list(theirs.names.values())
    library, ours = (
        coco_map(world.data, found, names)[0],
        coco_map(world.data, *our_boxes(world, "yolo26n"))[0],
    )
    return bar(abs(library - ours) <= 0.003, f"{ours:.4f}, the library's {library:.4f}")


def add(what: str, function: Callable[[str, World], str], name: str) -> None:
    check("11.2", what)(functools.partial(function, name))


for yolo in YOLOS:
    add(f"{yolo} as Ultralytics' predict", yolo_alone, yolo)
    add(f"{yolo} in a folder run at batch 8", yolo_folder, yolo)
for network in ("yolov10n", "rtdetr-l"):
    add(f"seeded {network} as Ultralytics' predict", seeded, network)
for title, builder in TORCHVISION.items():
    add(f"seeded {title} as torchvision's own call", torchvision_detector, builder)
