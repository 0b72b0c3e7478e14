"""What the user names, as a stream of inputs: files, folders, globs, addresses, lists, stdin, cameras."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import IO, Literal

from visioncli.errors import InputError
from visioncli.media import folders, sniff
from visioncli.media.address import LIVE, file_name, public
from visioncli.media.frame import Failure, Input, Kind
from visioncli.media.spool import begin, chunks, entries, spool

Flag = Literal["", "--image", "--video", "--dir"]
Item = Input | Failure


def find(
    arguments: Iterable[str],
    *,
    videos: Sequence[str] = (),
    images: Sequence[str] = (),
    dirs: Sequence[str] = (),
    from_files: Sequence[str] = (),
    null: bool = False,
    recursive: bool = False,
    stdin: IO[bytes] | None = None,
    offline: bool = False,
    moving: bool = False,
) -> Found:
    """Everything named, in the order arguments, images, videos, dirs, from_files; never all of it in memory.

    `moving`: animated pictures are videos, and so are the pictures of a folder, as frames of one.
    `null`: lists (on `stdin`, default the process's own, and in `from_files`) are separated by NUL instead of
    newlines. `offline`: an address is a Failure, with no connection made. A bad input raises nothing: it is a
    Failure in its place.
    """
    return Found(
        arguments, videos, images, dirs, from_files,
        null=null, recursive=recursive, stdin=stdin, offline=offline, moving=moving,
    )  # fmt: skip


class Found:
    """The inputs of a run, one after the other; `skipped` counts the files in folders that are no media."""

    def __init__(
        self,
        arguments: Iterable[str],
        videos: Sequence[str],
        images: Sequence[str],
        dirs: Sequence[str],
        from_files: Sequence[str],
        *,
        null: bool,
        recursive: bool,
        stdin: IO[bytes] | None,
        offline: bool,
        moving: bool,
    ) -> None:
        self.skipped = 0
        self._null, self._recursive, self._offline = null, recursive, offline
        self._stdin, self._moving = stdin, moving
        self._items = self._all(arguments, videos, images, dirs, from_files)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        return next(self._items)

    def _all(
        self,
        arguments: Iterable[str],
        videos: Sequence[str],
        images: Sequence[str],
        dirs: Sequence[str],
        from_files: Sequence[str],
    ) -> Iterator[Item]:
        for argument in arguments:
            yield from self._argument(argument, "")
        for argument in images:
            yield from self._argument(argument, "--image")
        for argument in videos:
            yield from self._argument(argument, "--video")
        for argument in dirs:
            yield from self._argument(argument, "--dir")
        for name in from_files:
            yield from self._list_file(name)

    def _argument(self, text: str, flag: Flag, *, listed: bool = False) -> Iterator[Item]:
        """One argument or line of a list; whatever is wrong with it becomes a Failure."""
        source = public(_readable(text))
        try:
            if text == "-":
                if listed:
                    raise InputError("-: a list cannot name stdin", kind="unsupported")
                yield from self._stream(self._open_stdin(), source, flag, PurePath("stdin"))
            else:
                yield from self._named(text, source, flag)
        except InputError as error:
            yield Failure(source, error.kind, str(error))
        except OSError as error:
            yield _refused(source, error)

    def _named(self, text: str, source: str, flag: Flag) -> Iterator[Item]:
        path = Path(text)
        mode = _mode(text)
        if mode is None:
            yield from self._not_a_path(text, source, flag)
        elif stat.S_ISDIR(mode):
            if flag not in ("", "--dir"):
                raise InputError(f"{source}: a folder", kind="unsupported", hint="give it with --dir")
            yield from self._folder(path, source)
        elif flag == "--dir":
            raise InputError(
                f"{source}: not a folder", kind="unsupported", hint="--image or --video name files"
            )
        elif stat.S_ISFIFO(mode):
            with path.open("rb") as stream:
                yield from self._stream(stream, source, flag, PurePath(path.name))
        elif stat.S_ISREG(mode):
            yield self._file(path, source, flag)
        else:
            yield from self._device(text, source, flag)

    def _not_a_path(self, text: str, source: str, flag: Flag) -> Iterator[Item]:
        """No file of that name: an address, a camera, a glob, or nothing at all."""
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
        if scheme:
            yield self._address(text, source, scheme[1].lower(), flag)
        elif text.isascii() and text.isdigit() and len(text) < 4:
            yield _camera(source, int(text), flag)
        elif folders.is_glob(text):
            yield from self._glob(text, source, flag)
        else:
            raise InputError(f"{source or 'an empty name'}: no such file or folder", kind="not_found")

    def _address(self, text: str, source: str, scheme: str, flag: Flag) -> Item:
        if scheme not in ("http", "https", *LIVE):
            hint = "http://, https://, rtsp:// and rtsps:// are"
            raise InputError(f"{source}: {scheme}:// is not read", kind="unsupported", hint=hint)
        if self._offline:
            raise InputError(f"{source}: no connection, the run is --offline", kind="offline")
        if scheme in LIVE:
            return _live(source, text, flag)
        from visioncli.media.download import download

        found = download(text)
        if found.kind == "camera":
            return _live(source, text, flag)
        _check(found.kind, False, source, flag)
        return found

    def _device(self, text: str, source: str, flag: Flag) -> Iterator[Item]:
        number = re.fullmatch(r"/dev/video(\d+)", text)
        if not number:
            raise InputError(f"{source}: a device or socket, not a file", kind="unsupported")
        yield _camera(source, int(number[1]), flag)

    def _file(self, path: Path, source: str, flag: Flag) -> Item:
        """A file that was named: taken by content, else by suffix, else by asking the decoders."""
        with path.open("rb") as file:
            media = sniff.sniff(file.read(sniff.HEAD))
        kind, animated = self._kind(media, path)
        if kind is None and media is None:
            kind = _probe(path)
        if kind is None:
            raise _no_media(source, media)
        return Input(source, _check(kind, animated, source, flag), path, PurePath(path.name))

    def _folder(self, folder: Path, source: str) -> Iterator[Item]:
        empty = True
        sequence: Path | None = None
        for found in folders.walk(folder, recursive=self._recursive):
            item = self._in_folder(found, folder, source)
            if item is None:
                continue
            empty = False
            if self._moving and isinstance(item, Input) and item.kind == "picture":
                assert isinstance(item.where, Path)
                if item.where.parent == sequence:
                    continue
                sequence = item.where.parent
                item = _sequence(sequence, folder, source)
            yield item
        if empty:
            hint = None if self._recursive else "use --recursive for its sub-folders"
            raise InputError(f"{source}: no pictures or videos in this folder", kind="not_found", hint=hint)

    def _in_folder(self, found: Path | OSError, folder: Path, source: str) -> Item | None:
        """A file that was come across: None, and counted, where it is no media."""
        if isinstance(found, OSError):
            return _refused(_readable(found.filename or source), found)
        relative = found.relative_to(folder)
        name = _join(source, _readable(str(relative)))
        try:
            mode = found.stat().st_mode
            if not stat.S_ISREG(mode):
                self.skipped += 1
                return None
            with found.open("rb") as file:
                media = sniff.sniff(file.read(sniff.HEAD))
        except OSError as error:
            if sniff.by_suffix(found):
                return _refused(name, error)
            self.skipped += 1
            return None
        kind, _ = self._kind(media, found)
        if kind is None:
            self.skipped += 1
            return None
        return Input(name, kind, found, relative)

    def _glob(self, pattern: str, source: str, flag: Flag) -> Iterator[Item]:
        if flag == "--dir":
            raise InputError(f"{source}: no such folder", kind="not_found")
        base = folders.fixed_part(pattern)
        matched, empty = False, True
        for path in folders.expand(pattern):
            matched = True
            relative = path.relative_to(base)
            name = _readable(str(path))
            item = self._in_folder(path, base, _readable(str(base)))
            if item is None:
                continue
            empty = False
            try:
                if isinstance(item, Input):
                    animated = flag == "--video" and item.kind == "picture" and _moves(path)
                    item = Input(name, _check(item.kind, animated, name, flag), path, relative)
                yield item
            except InputError as error:
                yield Failure(name, error.kind, str(error))
        if empty:
            what = "no picture or video among what matches" if matched else "no file matches"
            raise InputError(f"{source}: {what}", kind="not_found")

    def _list_file(self, name: str) -> Iterator[Item]:
        source = _readable(name)
        try:
            with ExitStack() as stack:
                stream = self._open_stdin() if name == "-" else stack.enter_context(Path(name).open("rb"))
                yield from self._lines(stream, b"")
        except InputError as error:
            yield Failure(source, error.kind, str(error))
        except OSError as error:
            yield _refused(source, error)

    def _lines(self, stream: IO[bytes], head: bytes) -> Iterator[Item]:
        """The entries of a list that begins with `head` and goes on in `stream`."""
        for entry in entries(stream, head, b"\0" if self._null else b"\n"):
            text = os.fsdecode(entry if self._null else entry.removesuffix(b"\r"))
            if text:
                yield from self._argument(text, "", listed=True)

    def _stream(self, stream: IO[bytes], source: str, flag: Flag, relative: PurePath) -> Iterator[Item]:
        """Stdin or a FIFO: one picture's or video's bytes, else a list of inputs."""
        head, media = (b"", None) if self._null else begin(stream)
        if media is not None and media.what in ("picture", "video"):
            kind, animated = self._kind(media, relative)
            assert kind is not None
            checked = _check(kind, animated, source, flag)
            yield spool(chunks(stream, head), source, checked, relative)
        elif flag or (media is not None and media.what == "sound") or (media is None and head):
            raise _no_media(source, media)
        else:
            empty = True
            for item in self._lines(stream, head):
                empty = False
                yield item
            if empty:
                raise InputError(f"{source}: empty: no picture, no video, no list", kind="not_found")

    def _kind(
        self, media: sniff.Media | None, name: PurePath
    ) -> tuple[Literal["picture", "video"] | None, bool]:
        """As the function of that name; in `moving` an animated picture is a video."""
        kind, animated = _kind(media, name)
        return ("video", False) if self._moving and animated else (kind, animated)

    def _open_stdin(self) -> IO[bytes]:
        """Stdin below Python's buffer, whose lock a reader that waits would hold while the process ends."""
        if self._stdin is not None:
            return self._stdin
        if sys.stdin is None:
            raise InputError("-: stdin is closed", kind="unreadable")
        raw: IO[bytes] = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return raw


def _kind(media: sniff.Media | None, name: PurePath) -> tuple[Literal["picture", "video"] | None, bool]:
    """What a file is, by name where its content says nothing, and whether it may also pass as a video."""
    if media is not None and media.what in ("picture", "video"):
        return ("picture", media.animated) if media.what == "picture" else ("video", False)
    if media is not None and media.what == "text" and name.suffix.lower() in (".ts", ".mts"):
        return None, False  # TypeScript
    return sniff.by_suffix(name), False


def _sequence(frames: Path, folder: Path, source: str) -> Input:
    """A folder of frames, `folder` itself (called `source`) or one below it, as one video."""
    relative = frames.relative_to(folder)
    if relative == PurePath():
        return Input(source.rstrip("/") or source, "video", frames, PurePath(frames.absolute().name))
    return Input(_join(source, _readable(str(relative))), "video", frames, relative)


def _check(kind: Kind, animated: bool, source: str, flag: Flag) -> Literal["picture", "video"]:
    """The kind to open it as; raises where it is not what `--image` or `--video` says."""
    if kind == "picture" and flag == "--video":
        if animated:
            return "video"
        raise InputError(f"{source}: a picture, not a video", kind="unsupported", hint="give it with --image")
    if kind == "video" and flag == "--image":
        raise InputError(f"{source}: a video, not a picture", kind="unsupported", hint="give it with --video")
    return "picture" if kind == "picture" else "video"


def _moves(path: Path) -> bool:
    with path.open("rb") as file:
        media = sniff.sniff(file.read(sniff.HEAD))
    return media is not None and media.animated


def _camera(source: str, number: int, flag: Flag) -> Input:
    if flag in ("--image", "--dir"):
        wanted = "picture" if flag == "--image" else "folder"
        raise InputError(f"{source}: no such {wanted}", kind="not_found")
    return Input(source, "camera", number, PurePath(f"camera{number}"))


def _live(source: str, address: str, flag: Flag) -> Input:
    if flag in ("--image", "--dir"):
        raise InputError(f"{source}: a live stream", kind="unsupported", hint="give it with --video")
    return Input(source, "camera", address, PurePath(file_name(address)))


def _probe(path: Path) -> Literal["picture", "video"] | None:
    """Ask the decoders what a file is whose first bytes and name say nothing."""
    import av
    from PIL import Image

    from visioncli.media.pictures import COMMON, RARE
    from visioncli.media.video_in import LOCAL_ONLY

    try:
        with Image.open(path, formats=(*COMMON, *RARE)):
            return "picture"
    except Exception:
        # Whatever Pillow stumbles over: not a picture of a kind it knows.
        pass
    try:
        with av.open(f"file:{path}", options=LOCAL_ONLY, metadata_errors="replace") as container:
            return "video" if container.streams.video else None
    except (av.error.FFmpegError, UnicodeEncodeError):
        return None


def _no_media(source: str, media: sniff.Media | None) -> InputError:
    if media is not None and media.what == "text":
        hint = "a list of files is given with --from-file"
        return InputError(f"{source}: text, neither a picture nor a video", kind="unsupported", hint=hint)
    if media is not None and media.what == "sound":
        return InputError(f"{source}: sound without pictures", kind="unsupported")
    return InputError(f"{source}: neither a picture nor a video that can be read here", kind="unsupported")


def _refused(source: str, error: OSError) -> Failure:
    if isinstance(error, FileNotFoundError):
        return Failure(source, "not_found", f"{source}: no such file or folder")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return Failure(source, "unreadable", f"{source}: {reason}")


def _mode(text: str) -> int | None:
    """The file's type, links followed; None if there is no such file, OSError if the system will not tell."""
    if not text:
        return None  # which Path would take for the current folder
    try:
        return Path(text).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        # A name too long for a file may still be an address or a glob.
        if "://" in text or folders.is_glob(text):
            return None
        raise error


def _readable(text: str) -> str:
    """A name as valid UTF-8: bytes that are none are shown as replacement characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _join(folder: str, name: str) -> str:
    if folder == ".":
        return name
    return f"{folder}{name}" if folder.endswith("/") else f"{folder}/{name}"
