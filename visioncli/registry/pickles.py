"""What a checkpoint would make, read from its pickle without unpickling it (and without torch)."""

from __future__ import annotations

import io
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from pathlib import Path

from visioncli.errors import ModelError

_MAX_PICKLE = 64 << 20  # the largest real one is under 2 MB: tensors lie beside it
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.save before 1.6 begins with a pickle of this number


def named(path: Path) -> list[str]:
    """The globals (`module.name`) that the checkpoint's pickle names, in order, each once.

    Reads zip checkpoints and the pickles of torch.save before 1.6. Raises ModelError for what is neither.
    """
    found: dict[str, None] = {}
    try:
        for data in _pickles(path):
            found.update(dict.fromkeys(_globals(data)))
    except Exception as e:  # damaged bytes make zipfile and pickletools raise nearly anything
        raise ModelError(f"{path}: not a checkpoint, or a damaged one ({_reason(e)})") from e
    return list(found)


def _reason(e: Exception) -> str:
    return e.strerror if isinstance(e, OSError) and e.strerror else str(e).split("\n")[0] or type(e).__name__


def _pickles(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            yield from _legacy(file.read(_MAX_PICKLE))
            return
        with zipfile.ZipFile(file) as archive:
            infos = [i for i in archive.infolist() if i.filename.rsplit("/", 1)[-1] == "data.pkl"]
            if not infos:
                raise ValueError("a zip file without data.pkl")
            for info in infos:
                if info.file_size > _MAX_PICKLE:
                    raise ValueError(f"a pickle of {info.file_size} bytes")
                yield archive.read(info)


def _legacy(data: bytes) -> Iterator[bytes]:
    """The pickles in a row: magic, protocol, system, the object, keys; the tensors' bytes follow."""
    stream = io.BytesIO(data)
    for number in range(5):
        start = stream.tell()
        values = [arg for _, arg, _ in pickletools.genops(stream)]
        if number == 0 and _LEGACY_MAGIC not in values:
            # Some other pickle: what it names still tells the user what it would have done.
            yield data[start : stream.tell()]
            return
        yield data[start : stream.tell()]


def _today(module: str, name: str) -> tuple[str, str]:
    """Python 3's name for Python 2's (`__builtin__.set`), which protocol 2 writes; as pickle reads it."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def _globals(data: bytes) -> Iterator[str]:
    strings: list[str] = []
    for op, arg, _ in pickletools.genops(data):
        if op.name in ("GLOBAL", "INST"):
            yield ".".join(_today(*str(arg).split(" ", 1)))
        elif op.name == "STACK_GLOBAL":
            # Its two strings are the last ones pushed unless a memo supplies them.
            yield ".".join(_today(*strings[-2:]))
        elif isinstance(arg, str):
            strings.append(arg)
