"""The Python API: `load` a model, call it on pictures, stream videos through it."""

from __future__ import annotations

import difflib
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from visioncli.errors import InputError, ModelError, UsageError
from visioncli.media.frame import Failure, Frame, Input
from visioncli.models import Options, Origin, adapter_class, prepare
from visioncli.pipeline import Answer, Event, Settings, run
from visioncli.registry.cards import Card
from visioncli.registry.lookup import Resolved, resolve
from visioncli.results import Image, Result
from visioncli.runtime import make

if TYPE_CHECKING:
    import PIL.Image

    Picture = str | Path | Image | PIL.Image.Image

DEFAULTS = {
    "detect": "yolo26n",
    "track": "yolo26n",
    "classify": "efficientnet_v2_s",
    "segment": "yolo26n-seg",
    "segment-instance": "yolo26n-seg",
    "segment-semantic": "deeplabv3_mobilenet_v3_large",
}
IN_THE_BOX = "mini"  # comes with the package and serves every task
PATIENCE = 3.0  # seconds that the server of a default's weights has to begin to answer

Labels = str | int


def load(
    model: str | None = None,
    *,
    task: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    imgsz: int | tuple[int, int] | None = None,
    weights_dir: str | Path | None = None,
    offline: bool = False,
    trust_checkpoint: bool = False,
    features: bool = False,
) -> Model:
    """A model ready to run: a name (`yolo26n`), `NAME:WEIGHTS`, or the path of a checkpoint.

    Without a name it is the default for `task` or, where its weights are neither here nor to be had within
    three seconds, `mini`, with a UserWarning. Weights that are not on this machine are downloaded unless
    `offline`. `imgsz` is px, one number or (height, width). With `features` detections come with features of
    how each object looks, for `track(reid="auto")`. Raises UsageError (no such model or device) and
    ModelError (weights not to be had, or refused).
    """
    if imgsz is not None and (min(imgsz) if isinstance(imgsz, tuple) else imgsz) < 1:
        raise UsageError(f"imgsz must be at least 1, not {imgsz}")
    resolved = choose(
        model,
        task,
        weights_dir=None if weights_dir is None else Path(weights_dir),
        offline=offline,
        progress=False,
    )
    if model is None and resolved.note:
        warnings.warn(resolved.note, stacklevel=2)
    return Model(
        resolved,
        device=device,
        precision=precision,
        runtime=runtime,
        imgsz=imgsz,
        trust=trust_checkpoint,
        features=features,
    )


def choose(
    model: str | None,
    task: str | None,
    *,
    default: str | None = None,
    weights_dir: Path | None = None,
    offline: bool = False,
    progress: bool = True,
) -> Resolved:
    """The model that is named, never another; without a name the task's default, or `mini` with a `note`.

    `default` is the key in `DEFAULTS` where that is not the task. Raises as `resolve` for a model that is
    named.
    """
    where: dict[str, Any] = {"weights_dir": weights_dir, "offline": offline, "progress": progress}
    if model is not None:
        return resolve(model, task, **where)
    name = DEFAULTS.get(default or task or "")
    if name is None:
        raise UsageError(
            "neither a model nor a task that has a default", hint=f"tasks: {', '.join(DEFAULTS)}"
        )
    try:
        return resolve(name, task, patience=PATIENCE, **where)
    except ModelError as missing:
        found = resolve(IN_THE_BOX, task, **where)
        why = missing.message.removeprefix(f"{name}: ")
        better = f"with a network: vision models pull {name}"
        return replace(
            found, note=f"{IN_THE_BOX} answers, which comes with vision and sees less: {why} ({better})"
        )


class Model:
    """A loaded model. `names` are its labels by class number, `task` is `classify` or `detect`."""

    def __init__(
        self,
        resolved: Resolved,
        *,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        imgsz: int | tuple[int, int] | None = None,
        trust: bool = False,
        few: bool = False,
        say: Callable[[str], None] | None = None,
        features: bool = False,
    ) -> None:
        self.resolved = resolved
        size = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
        factory = adapter_class(resolved.card.adapter)
        card = replace(resolved.card, input=resolved.card.input_for(resolved.variant))
        self.adapter = factory(card, resolved.path, imgsz=size, trust=trust)
        if features:
            self._give_features()
        origin = Origin(
            card.name,
            resolved.path,
            resolved.sha256,
            f"{card.adapter} {card.factory} {sorted(card.input.items())}",
            lambda picture: self.adapter.prepare([picture]).inputs,
        )
        self.runtime = make(
            self.adapter.network(),
            origin,
            runtime=runtime,
            device=device,
            precision=precision,
            few=few,
            say=say,
        )
        self.names: Sequence[str] = self.adapter.names
        self.task = self.adapter.task

    def _give_features(self) -> None:
        """Have detections come with features. UsageError where the model has none to give."""
        adapter: Any = self.adapter
        if not hasattr(adapter, "features"):
            raise UsageError(
                f"{self.name} gives no features of what it finds",
                hint="Ultralytics' YOLO detectors and segmenters do; --reid FILE works with all models",
            )
        adapter.features = True

    @property
    def card(self) -> Card:
        """What the registry knows of it."""
        return self.resolved.card

    @property
    def name(self) -> str:
        """Its name in the registry, or that of its file."""
        return self.resolved.card.name

    def __repr__(self) -> str:
        where = f"{self.runtime.precision} on {self.runtime.device}"
        return f"<{self.name}: {self.task}, {len(self.names)} classes, {where}>"

    def options(
        self,
        *,
        conf: float = 0.25,
        iou: float | None = None,
        max_det: int = 300,
        classes: Iterable[Labels] | None = None,
        agnostic_nms: bool = False,
        top_k: int = 5,
        thresholds: Mapping[str, float] | None = None,
    ) -> Options:
        """What to answer, checked: `classes` by label or number. UsageError for what makes no sense.

        `thresholds` are lowest scores by label; `conf` holds for the other classes.
        """
        for what, value in (("conf", conf), ("iou", iou), *(thresholds or {}).items()):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{what} must be between 0 and 1, not {value}")
        for what, count in (("max-det", max_det), ("top-k", top_k)):
            if count < 1:
                raise UsageError(f"{what} must be at least 1, not {count}")
        wanted = None if classes is None else frozenset(self._class_number(c) for c in classes)
        if not thresholds:
            return Options(conf, iou, max_det, wanted, agnostic_nms, top_k)
        lowest = [conf] * len(self.names)
        for label, threshold in thresholds.items():
            lowest[self._class_number(label)] = threshold
        return Options(min(lowest), iou, max_det, wanted, agnostic_nms, top_k, tuple(lowest))

    def _class_number(self, label: Labels) -> int:
        if isinstance(label, str) and label not in self.names and label.strip().isdecimal():
            label = int(label)
        if isinstance(label, int):
            if not 0 <= label < len(self.names):
                raise UsageError(
                    f"{self.name} has no class {label}", hint=f"it has 0 to {len(self.names) - 1}"
                )
            return label
        folded = {name.casefold(): i for i, name in reversed(list(enumerate(self.names)))}
        number = folded.get(label.strip().casefold())
        if number is None:
            close = difflib.get_close_matches(label.strip().casefold(), list(folded), n=3)
            hint = (
                f"did you mean {' or '.join(close)}?"
                if close
                else f"vision models info {self.name} lists its labels"
            )
            raise UsageError(f"{self.name} has no class {label!r}", hint=hint)
        return number

    @overload
    def __call__(self, picture: Picture, **options: Any) -> Result: ...
    @overload
    def __call__(self, picture: list[Picture], **options: Any) -> list[Result]: ...
    def __call__(self, picture: Picture | list[Picture], **options: Any) -> Result | list[Result]:
        """The result of a picture, or of each of a list: paths, PIL pictures, or (H, W, 3) uint8 RGB arrays.

        Options are those of `options()`: `conf`, `iou`, `max_det`, `classes`, `agnostic_nms`, `top_k`.
        Raises InputError for a picture that cannot be read.
        """
        if isinstance(picture, list):
            return [self(p, **options) for p in picture]
        frame, source = _frame(picture)
        checked = self.options(**options)
        batch = prepare(self.adapter, [frame.image], checked)
        prediction = checked.kept(self.adapter.finish(self.runtime(batch.inputs), batch, checked)[0])
        return Result(source, frame.width, frame.height, prediction, self.names)

    def stream(
        self,
        source: str | Path,
        *,
        batch: int | None = None,
        stride: int = 1,
        start: float | None = None,
        end: float | None = None,
        **options: Any,
    ) -> Iterator[tuple[Image, Result]]:
        """Pictures with their results, one by one in flat memory: of a video, folder, glob or camera.

        Yields `(image, result)`: (H, W, 3) uint8 RGB, and the result with `frame` and `time` for a video.
        `stride` takes every nth frame, `start` and `end` are seconds. Raises InputError at an input, or a
        frame, that cannot be read.
        """
        from visioncli.media.sources import find

        settings = Settings(batch or self.runtime.batch, self.options(**options), stride, start, end)
        events = run(find([str(source)]), self.adapter, self.runtime, settings, stop=threading.Event())
        yield from _pairs(events)

    def track(
        self,
        source: str | Path,
        *,
        tracker: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        reid: str | None = None,
        smooth: bool = False,
        conf: float | None = None,
        batch: int | None = None,
        stride: int = 1,
        start: float | None = None,
        end: float | None = None,
        **options: Any,
    ) -> Iterator[tuple[Image, Result]]:
        """`stream` for videos, with `result.ids`: the same object has the same id, from 1 in each video.

        `tracker` is one of `visioncli.track.TRACKERS` (BoT-SORT if None), `parameters` are its own, by
        Ultralytics' names, `conf` is the score that begins a track, `reid` `off`, `auto` or a file, and with
        `smooth` boxes are those of the tracker's filter. A folder of pictures is one video. Raises UsageError
        for a tracker, a parameter or a model that makes no sense, otherwise as `stream`.
        """
        from visioncli.media.sources import find
        from visioncli.track.config import configure
        from visioncli.track.follow import Tracking
        from visioncli.track.reid import Encoder

        if self.task not in ("detect", "segment-instance"):
            raise UsageError(f"{self.name} finds no objects that could be tracked")
        config = configure(tracker, sets=parameters, conf=conf, reid=reid)
        encoder = None if config.reid in ("off", "auto") else Encoder(Path(config.reid))
        tracking = Tracking(config, smooth=smooth, encoder=encoder)
        checked = self.options(conf=config.lowest, **options)
        settings = Settings(
            batch or self.runtime.batch, checked, stride, start, end, observe=tracking.observer
        )
        inputs = find([str(source)], moving=True)
        events = run(inputs, self.adapter, self.runtime, settings, stop=threading.Event())
        yield from _pairs(tracking.follow(events, settings))


def _pairs(events: Generator[Event, None, None]) -> Iterator[tuple[Image, Result]]:
    """The pictures and results among a run's events; InputError at the first failure."""
    with closing(events):
        for event in events:
            if isinstance(event, Failure):
                at = "" if event.source in event.message else f"{event.source}: "
                raise InputError(at + event.message, kind=event.kind)
            if isinstance(event, Answer):
                yield event.frame.image, event.result


def _frame(picture: Picture) -> tuple[Frame, str]:
    """A picture in any of its forms as a frame, and its name."""
    if isinstance(picture, str | Path):
        from visioncli.media import pictures

        path = Path(picture)
        return pictures.read(Input(str(picture), "picture", path, PurePath(path.name))), str(picture)
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
            raise UsageError(
                f"an array must be (height, width, 3) uint8 RGB, not {picture.shape} {picture.dtype}"
            )
        return Frame(np.ascontiguousarray(picture)), "array"
    return Frame(np.ascontiguousarray(np.asarray(picture.convert("RGB")))), getattr(
        picture, "filename", ""
    ) or "image"
