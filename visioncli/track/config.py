"""A tracker's parameters: Ultralytics' own defaults and names, a file, `key=value`s."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from visioncli.errors import UsageError
from visioncli.track import TRACKERS

BUFFER_RATE = 30  # the frames a second that `track_buffer` is counted in
MOTION_METHODS = ("sparseOptFlow", "orb", "sift", "ecc", "none")


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """The tracker's name, and its parameters under the names that Ultralytics gives them."""

    name: str
    values: Mapping[str, Any]

    @property
    def lowest(self) -> float:
        """The score from which on a detection may continue a track."""
        return float(self.values["track_low_thresh"])

    @property
    def motion(self) -> str | None:
        """How the camera's motion is estimated, None where it is not compensated."""
        method = str(self.values.get("gmc_method", "none"))
        return None if method == "none" else method

    @property
    def reid(self) -> str:
        """Where features of appearance come from: `off`, `auto` or a file."""
        return str(self.values["model"]) if self.values.get("with_reid") else "off"

    def frames_lost(self, fps: Fraction | float | None, stride: int) -> int:
        """How many frames that are looked at a lost track is kept for.

        `track_buffer` counts frames at 30 a second: 30 of them are one second whatever the video's rate and
        the stride are. A rate that is not known is taken for 30.
        """
        rate = float(fps or BUFFER_RATE) / stride
        return max(1, round(float(self.values["track_buffer"]) * rate / BUFFER_RATE))


def configure(
    name: str | None = None,
    *,
    file: Path | None = None,
    sets: Mapping[str, Any] | None = None,
    conf: float | None = None,
    reid: str | None = None,
) -> TrackerConfig:
    """The parameters of tracker `name` (default: the file's `tracker_type`, else BoT-SORT).

    Later ones win: the defaults; `file` (YAML); `conf`, the score that begins a track (`track_high_thresh`
    and `new_track_thresh`, and `track_low_thresh` where it is above that); `sets`; `reid` (`off`, `auto` or
    a file).

    Raises: UsageError for a tracker, a key or a value that makes no sense.
    """
    given = {} if file is None else _read(file)
    own = given.pop("tracker_type", None)
    chosen = name or own or TRACKERS[0]
    if chosen not in TRACKERS:
        raise UsageError(f"there is no tracker {chosen!r}", hint=_close(str(chosen), TRACKERS))
    if own is not None and own != chosen:
        raise UsageError(f"{file} is for {own}, and the tracker is {chosen}")
    values = dict(defaults(chosen))
    for key, value in given.items():
        values[key] = _checked(chosen, key, value, f"{file}")
    if conf is not None:
        values |= {"track_high_thresh": conf, "new_track_thresh": conf}
        values["track_low_thresh"] = min(values["track_low_thresh"], conf)
    for key, value in (sets or {}).items():
        values[key] = _checked(chosen, key, value, f"--set {key}={value}")
    if reid is not None:
        if reid != "off" and "with_reid" not in values:
            able = ", ".join(t for t in TRACKERS if "with_reid" in defaults(t))
            raise UsageError(f"{chosen} does not look at appearance", hint=f"--reid works with {able}")
        if "with_reid" in values:
            values |= {"with_reid": reid != "off", "model": "auto" if reid == "off" else reid}
    return TrackerConfig(chosen, values)


def parse_sets(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value`s as YAML reads their values. UsageError for what is none."""
    import yaml

    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {pair}: not KEY=VALUE", hint="like this: --set track_buffer=60")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {pair}: the value makes no sense") from error
    return values


@cache
def defaults(name: str) -> Mapping[str, Any]:
    """Ultralytics' own parameters of a tracker, from its YAML file; the library is not imported."""
    import yaml

    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "cfg" / "trackers" / f"{name}.yaml"
    if not file.is_file():
        raise UsageError(f"the installed ultralytics has no tracker {name}", hint="a newer one has")
    values = yaml.safe_load(file.read_text("utf-8"))
    return {key: value for key, value in values.items() if key != "tracker_type"}


def _read(file: Path) -> dict[str, Any]:
    """A tracker's YAML file, as Ultralytics writes them."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"--tracker-config {file}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--tracker-config {file}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"--tracker-config {file}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UsageError(
            f"--tracker-config {file}: not a list of parameters", hint="lines like track_buffer: 30"
        )
    return found


def _checked(tracker: str, key: str, value: Any, where: str) -> Any:
    """`value` in the type that the tracker's own default for `key` has."""
    known = defaults(tracker)
    if key not in known:
        raise UsageError(f"{where}: {tracker} has no parameter {key!r}", hint=_close(key, tuple(known)))
    default = known[key]
    if key == "gmc_method":
        value = "none" if value in (None, False) else value
        if value not in MOTION_METHODS:
            raise UsageError(f"{where}: gmc_method is one of {', '.join(MOTION_METHODS)}")
        return value
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, str)
    if not fits:
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            type(default), "a name"
        )
        raise UsageError(f"{where}: {key} is {wanted}, not {value!r}", hint=f"its default is {default}")
    return value


def _close(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
