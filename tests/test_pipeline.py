"""The loop, with real networks: one answer at any batch, order, failures in place, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.build_weights import ROOT
from visioncli.api import Model, load
from visioncli.errors import InputError
from visioncli.media.frame import Failure, Input
from visioncli.media.sources import find
from visioncli.models import Batch, Network, Options
from visioncli.pipeline import Answer, Closed, Event, Opened, Settings, progress_total, run
from visioncli.results import Detections, Result

Squares = dict[tuple[int, int], Path]
SAMPLES = ROOT / "sample_media"
BOX, SCORE = 0.5, 2e-3  # promise 2: px, and score


@pytest.fixture(scope="module")
def yolo(weights: Path) -> Model:
    """YOLO26n at a size that is quick."""
    return load("yolo26n", weights_dir=weights, imgsz=320, device="cpu", precision="fp32", runtime="torch")


def answers(
    model: Model, inputs: Sequence[str | Path], *, conf: float = 0.25, **settings: object
) -> list[Result]:
    """The results of a run, in order; it may have no failures."""
    options = model.options(conf=conf)
    wanted = Settings(options=options, keep_images=False, **settings)  # type: ignore[arg-type]
    events = list(run(find(map(str, inputs)), model.adapter, model.runtime, wanted))
    assert not [e for e in events if isinstance(e, Failure)]
    return [e.result for e in events if isinstance(e, Answer)]


def assert_one_answer(one: Sequence[Result], other: Sequence[Result], conf: float) -> None:
    """Promise 2, both ways: every box that is not at the threshold has its like in the other run."""
    assert [(r.source, r.frame, r.time) for r in one] == [(r.source, r.frame, r.time) for r in other]
    for mine, theirs in zip(one, other, strict=True):
        for a, b in ((mine, theirs), (theirs, mine)):
            for box, score, label in zip(a.boxes, a.scores, a.labels, strict=True):
                if score - conf <= SCORE:
                    continue
                like = [
                    label == b.labels[i]
                    and abs(score - b.scores[i]) <= SCORE
                    and np.abs(box - b.boxes[i]).max() <= BOX
                    for i in range(len(b))
                ]
                assert any(like), f"{a.source}, frame {a.frame}: {label} {score:.4f} {box} is in one run only"


def of_many_shapes(folder: Path, count: int) -> list[Path]:
    """`count` pictures, taken so that wide, tall and square ones take turns."""
    from PIL import Image

    def ratio(path: Path) -> float:
        with Image.open(path) as image:
            return image.width / image.height

    ranked = sorted(sorted(folder.iterdir()), key=ratio)
    picked = [ranked[i * (len(ranked) - 1) // (count - 1)] for i in range(count)]
    return picked[::2] + picked[1::2][::-1]


@pytest.mark.parametrize("imgsz", [320, pytest.param(640, marks=pytest.mark.slow)])
def test_one_answer_at_any_batch(weights: Path, data: Path, imgsz: int) -> None:
    model = load("yolo26n", weights_dir=weights, imgsz=imgsz, device="cpu", precision="fp32")
    inputs = [*of_many_shapes(data / "coco" / "images", 12), data / "video" / "derived_people_vfr.mp4"]
    end = 1.5 if imgsz == 320 else 2.6
    alone = answers(model, inputs, batch=1, end=end)
    assert len(alone) >= 12 + (40 if imgsz == 640 else 20)
    assert sum(map(len, alone)) > 100
    for batch in (4, 16):
        assert_one_answer(alone, answers(model, inputs, batch=batch, end=end), 0.25)


@pytest.mark.slow
def test_one_answer_of_faster_rcnn(data: Path, tmp_path: Path) -> None:
    """Seeded and made to answer; pictures of different shapes are padded to a common one in a batch."""
    import torch
    import torchvision

    from tests.parity.answering import read_pictures, torchvision_answer

    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    torch.manual_seed(0)
    network = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None)
    pictures = read_pictures(data / "coco" / "images", 4)
    torch.save(torchvision_answer(network, name, pictures).state_dict(), tmp_path / "seeded.pth")

    model = load(f"{name}:{tmp_path / 'seeded.pth'}", task="detect", device="cpu", precision="fp32")
    inputs = [*of_many_shapes(data / "coco" / "images", 12), data / "video" / "derived_people_vfr.mp4"]
    conf = 0.5
    alone = answers(model, inputs, conf=conf, batch=1, end=2.6)
    assert len(alone) >= 12 + 40
    assert sum(map(len, alone)) > 100
    assert len({label for r in alone for label in r.labels}) > 3
    for batch in (4, 16):
        assert_one_answer(alone, answers(model, inputs, conf=conf, batch=batch, end=2.6), conf)


@pytest.mark.slow
def test_flat_memory() -> None:
    """What a run holds does not grow with the video: after 460 frames as after 100."""
    script = f"""
import sys
from pathlib import Path
from visioncli.api import load

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

model = load("yolo26n", weights_dir={str(ROOT / "build" / "weights")!r}, imgsz=320)
sizes = []
# Whole batches: a smaller last one brings in the network's form for any shape, once, 50 MB.
for number, _ in enumerate(model.stream(sys.argv[1], batch=10), 1):
    if number in (100, 460):
        sizes.append(resident())
print(*sizes)
"""
    from tests.build_weights import shared

    folder = shared()
    if folder is None:
        pytest.skip("needs the real media")
    video = folder / "data" / "video" / "ocv4node_people.mp4"
    done = subprocess.run(
        [sys.executable, "-c", script, str(video)], capture_output=True, text=True, check=True
    )
    early, late = map(int, done.stdout.split())
    assert late < 1.1 * early, f"{early / 1e6:.0f} MB after 100 frames, {late / 1e6:.0f} after 460"


def test_order_and_failures_in_their_place(yolo: Model, tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes((SAMPLES / "dog.jpg").read_bytes()[:500])
    text = tmp_path / "text.txt"
    text.write_text("not a picture")
    dog, clip, bus, cat = (SAMPLES / name for name in ("dog.jpg", "people.mp4", "bus.jpg", "cat.jpg"))
    inputs = [dog, torn, clip, text, bus, tmp_path / "gone.jpg", cat]
    for batch in (1, 3, 16):
        wanted = Settings(batch, Options(), end=0.3)
        events = list(run(find(map(str, inputs)), yolo.adapter, yolo.runtime, wanted))
        seen = [(type(e), _source(e)) for e in events if not (isinstance(e, Answer) and e.frame.index)]
        assert seen == [
            (Answer, str(inputs[0])),
            (Failure, str(torn)),
            (Opened, str(inputs[2])),
            (Answer, str(inputs[2])),
            (Closed, str(inputs[2])),
            (Failure, str(text)),
            (Answer, str(inputs[4])),
            (Failure, str(inputs[5])),
            (Answer, str(inputs[6])),
        ]
        frames = [e.frame.index for e in events if isinstance(e, Answer) and e.frame.index is not None]
        assert frames == list(range(len(frames)))
        assert len(frames) > 2
        assert _lost_threads() == []


def _source(event: Event) -> str:
    return event.source if isinstance(event, Failure) else event.input.source


def test_pixels_are_kept_only_if_wanted(yolo: Model) -> None:
    for keep in (True, False):
        wanted = Settings(2, Options(), keep_images=keep)
        (event,) = run(find([str(SAMPLES / "dog.jpg")]), yolo.adapter, yolo.runtime, wanted)
        assert isinstance(event, Answer)
        assert bool(event.frame.image.size) == keep
        assert (event.result.width, event.result.height) == (640, 480) or event.result.width > 0


class Echo:
    """An adapter and a runtime in one: each picture's mean and size come back; hooks may raise."""

    task = "detect"
    names = ("thing",)

    def __init__(self) -> None:
        self.at_prepare: Callable[[], None] = lambda: None
        self.at_run: Callable[[], None] = lambda: None
        self.at_finish: Callable[[], None] = lambda: None
        self.batches: list[int] = []
        self.device, self.precision, self.batch, self.parallel = "cpu", "fp32", 2, 2

    def prepare(self, images: Sequence[np.ndarray]) -> Batch:
        self.at_prepare()
        first_channels = np.stack([image[..., 0].astype(np.float32) for image in images])
        return Batch((first_channels,), tuple(image.shape for image in images))

    def network(self) -> Network:
        raise NotImplementedError

    def share(self) -> None:
        pass

    def __call__(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self.at_run()
        self.batches.append(len(inputs[0]))
        return (inputs[0].mean((1, 2)),)

    def finish(self, outputs: Sequence[np.ndarray], batch: Batch, options: Options) -> list[Detections]:
        self.at_finish()
        return [
            Detections(np.array([[0, 0, mean, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
            for mean in outputs[0]
        ]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Squares:
    """Grey pictures by (size, shade)."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("squares")
    made = {}
    for size in (2, 3, 4, 5):
        for shade in range(0, 250, 25):
            made[size, shade] = folder / f"{size}-{shade}.png"
            Image.new("L", (size, size), shade).save(made[size, shade])
    return made


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from([2, 3, 4, 5]), st.sampled_from(range(0, 250, 25))), max_size=40),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_any_mix_of_shapes_comes_out_in_order(
    squares: Squares, chosen: list[tuple[int, int]], batch: int, workers: int
) -> None:
    echo = Echo()
    inputs = [Input(f"{n}", "picture", squares[key], PurePath("x.png")) for n, key in enumerate(chosen)]
    events = list(run(inputs, echo, echo, Settings(batch, workers=workers)))
    assert [e.input.source for e in events if isinstance(e, Answer)] == [str(n) for n in range(len(chosen))]
    assert [e.result.boxes[0, 2] for e in events if isinstance(e, Answer)] == [shade for _, shade in chosen]
    assert max(echo.batches, default=0) <= batch
    assert sum(echo.batches) == len(chosen)


def test_a_rare_shape_does_not_hold_up_the_rest(squares: Squares) -> None:
    """The first picture is the only one of its shape; its answer comes long before the last is read."""
    read = 0

    def inputs() -> Iterator[Input]:
        nonlocal read
        for n in range(200):
            read += 1
            yield Input(str(n), "picture", squares[2 if n == 0 else 3, 25], PurePath("x.png"))

    echo = Echo()
    stream = run(inputs(), echo, echo, Settings(4))
    first = next(stream)
    assert isinstance(first, Answer)
    assert first.input.source == "0"
    assert read < 60
    assert len(list(stream)) == 199


def test_large_pictures_are_not_all_held(monkeypatch: pytest.MonkeyPatch, squares: Squares) -> None:
    """What waits, and what waits behind it, is bounded in bytes as well."""
    monkeypatch.setattr("visioncli.stages.infer.MOST_HELD", 500)
    inputs = [Input(str(n), "picture", squares[2 if n == 0 else 5, 25], PurePath("x.png")) for n in range(60)]
    echo = Echo()
    events = list(run(inputs, echo, echo, Settings(16)))
    assert [_source(e) for e in events] == [str(n) for n in range(60)]
    assert max(echo.batches) <= 4, "5 × 5 pixels and their input are 175 bytes"


@pytest.mark.parametrize("stage", ["at_prepare", "at_run", "at_finish"])
@pytest.mark.parametrize("kind", ["picture", "video"])
def test_an_exception_names_its_source(stage: str, kind: str) -> None:
    echo = Echo()

    def fail() -> None:
        raise ZeroDivisionError("its own fault")

    setattr(echo, stage, fail)
    name = str(SAMPLES / ("dog.jpg" if kind == "picture" else "people.mp4"))
    with pytest.raises(ZeroDivisionError) as caught:
        list(run(find([name]), echo, echo, Settings(2)))
    notes = " ".join(caught.value.__notes__)
    assert name in notes
    assert kind == "picture" or "frame 0" in notes
    assert _lost_threads() == []


def test_an_input_error_of_an_adapter_is_that_input_s(squares: Squares) -> None:
    echo = Echo()
    calls = iter(range(100))

    def second_fails() -> None:
        if next(calls) == 1:
            raise InputError("too odd", kind="unsupported")

    echo.at_prepare = second_fails
    inputs = [Input(str(n), "picture", squares[2, 25], PurePath("x.png")) for n in range(4)]
    events = list(run(inputs, echo, echo, Settings(2, workers=1)))
    assert [_source(e) for e in events] == ["0", "1", "2", "3"]
    assert [type(e) for e in events] == [Answer, Failure, Answer, Answer]


def test_stop_ends_a_long_run(yolo: Model) -> None:
    stop = threading.Event()
    inputs = [str(SAMPLES / "people.mp4")] * 50
    events = []
    for event in run(find(inputs), yolo.adapter, yolo.runtime, Settings(4), stop=stop):
        events.append(event)
        if sum(isinstance(e, Answer) for e in events) == 10:
            stop.set()
    # Answered in full: three batches to reach 10, one queued, one in hand, and one on each lane.
    assert sum(isinstance(e, Answer) for e in events) <= (3 + 2 + yolo.runtime.parallel) * 4
    assert isinstance(events[-1], Closed)
    assert events[-1].cut
    assert _lost_threads() == []


@pytest.mark.parametrize("batch", [2, 64])
def test_a_video_that_lost_frames_to_stop_is_cut(batch: int) -> None:
    """Read to its end or not: without all its answers a video is not whole. One that has them is."""
    for after in (1, 59):
        echo, stop = Echo(), threading.Event()
        answers: dict[int, int] = {}
        for event in run(find([str(SAMPLES / "people.mp4")] * 3), echo, echo, Settings(batch), stop=stop):
            if isinstance(event, Answer):
                answers[id(event.input)] = answers.get(id(event.input), 0) + 1
                if sum(answers.values()) == after:
                    stop.set()
            elif isinstance(event, Closed):
                whole = answers.get(id(event.input), 0) == 60
                assert whole or event.cut


def test_stop_before_the_start(yolo: Model) -> None:
    stop = threading.Event()
    stop.set()
    assert (
        list(run(find([str(SAMPLES / "dog.jpg")]), yolo.adapter, yolo.runtime, Settings(4), stop=stop)) == []
    )


def test_a_consumer_that_goes_leaves_nothing(yolo: Model) -> None:
    before = threading.active_count()
    for taken in (1, 3, 20):
        stream = run(find([str(SAMPLES / "people.mp4")] * 9), yolo.adapter, yolo.runtime, Settings(8))
        for _ in range(taken):
            next(stream)
        stream.close()
        assert _lost_threads() == []
    assert threading.active_count() <= before


def _lost_threads() -> list[str]:
    """Threads of the pipeline that live; a reader has a moment to see that nobody wants more."""
    deadline = time.monotonic() + 3
    while names := [
        t.name for t in threading.enumerate() if t.name.startswith(("read", "network", "prepare"))
    ]:
        if time.monotonic() > deadline:
            return names
        time.sleep(0.02)
    return []


def test_progress_total(data: Path) -> None:
    from visioncli.media.video_in import open_video

    video = data / "video" / "ocv4node_people.mp4"
    with open_video(Input("v", "video", video, PurePath("v.mp4"))) as reader:
        info = reader.info
    assert progress_total(info, Settings()) == 460
    assert progress_total(info, Settings(stride=10)) == 46
    assert progress_total(info, Settings(start=1.0, end=2.0)) in (23, 24)
    assert progress_total(info, Settings(start=100.0)) == 1
