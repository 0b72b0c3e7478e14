"""Reading what a pickle names: as pickle itself would find it, and safe on any bytes."""

from __future__ import annotations

import collections
import decimal
import io
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visioncli.errors import ModelError, UsageError, VisionError
from visioncli.registry import pickles
from visioncli.registry.lookup import resolve

ANY = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
THINGS = [
    collections.OrderedDict(),
    decimal.Decimal(1),
    {1},
    Path("a"),
    1j,
    pickle.PickleError("x"),
    len,
    print,
]


class Recording(pickle.Unpickler):
    """Python's own unpickler, noting the globals that it looks up."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.seen: set[str] = set()

    def find_class(self, module: str, name: str) -> object:
        self.seen.add(f"{module}.{name}")
        return super().find_class(module, name)


@ANY
@given(st.lists(st.sampled_from(THINGS), min_size=1), st.integers(2, 5))
def test_names_what_pickle_looks_up(tmp_path: Path, things: list[object], protocol: int) -> None:
    data = pickle.dumps(things, protocol)
    file = tmp_path / "a.pt"
    file.write_bytes(data)
    recording = Recording(data)
    recording.load()
    named = set(pickles.named(file))
    # The unpickler is given Python 2's names by protocol 2 and maps them itself.
    assert {name.rpartition(".")[2] for name in recording.seen} == {name.rpartition(".")[2] for name in named}


@ANY
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_names_or_one_error(tmp_path: Path, data: bytes, zipped: bool) -> None:
    file = tmp_path / "a.pt"
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", data)
    else:
        file.write_bytes(data)
    try:
        pickles.named(file)
    except ModelError as e:
        assert "a.pt" in str(e)


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # pickletools' own
@ANY
@given(at=st.floats(0, 1), new=st.integers(0, 255))
def test_any_damage_to_a_real_checkpoint_is_survived(
    at: float, new: int, weights: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(weights / "yolov8n.pt") as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        data = bytearray(archive.read(name)[:6000])
    data[int(at * (len(data) - 1))] = new
    file = tmp_path / "a.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(data))
    with pytest.raises((ModelError, UsageError)):
        resolve(str(file), "classify")


@ANY
@given(spec=st.text(max_size=30))
def test_any_name_is_answered_with_an_error_of_ours(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VisionError):
        resolve(spec, "detect", offline=True)


def test_bombs_are_refused(tmp_path: Path) -> None:
    """A pickle of gigabytes in a zip of kilobytes is not unpacked."""
    file = tmp_path / "bomb.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(80 << 20))
    with pytest.raises(ModelError, match="83886080 bytes"):
        pickles.named(file)
