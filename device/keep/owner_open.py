"""`doorstep clips open`: the owner's key turns a clip into a video.

Rule 1: nothing stands under the final name until it is complete; whatever fails leaves nothing behind.
Rule 2: what was lost, and what no longer is what the device signed, is said and is exit status 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from device.errors import ConfigError, RecordingError
from device.keep import layout
from device.keep.owner_age import Opened, decrypt, identities
from device.keep.owner_folder import clips_folder, named_device, read_statement, unreadable
from device.keep.owner_remux import remux
from device.keep.owner_screen import progress, screen
from device.keep.statement import Signed, Statement, StatementError, fingerprint


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be opened, with what, and where it goes; `-` is standard output."""

    clip: str  # a path, or a number in `folder`
    folder: Path | None
    identity: Path
    target: Path | None  # None: beside us, under the clip's name
    force: bool = False


def open_clip(order: Order) -> int:
    """Decrypt a clip, into an MP4 or a pipe; return 0 where nothing is lost or altered."""
    path = _path(order)
    length_s: float | None = None
    keys = identities(order.identity)
    try:
        if str(order.target) == "-":
            opened = _to_pipe(path, keys)
        else:
            opened, length_s = _to_file(path, keys, order)
        said = _statement(path)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise unreadable(error, path) from None
    return int(not _report(opened, length_s, said, path))


def _path(order: Order) -> Path:
    """Return where the clip lies."""
    if order.clip.isascii() and order.clip.isdigit() and not Path(order.clip).exists():
        if order.folder is None:
            raise ConfigError(f"clip {order.clip} of which folder?", f"try: doorstep clips open {order.clip} DIR")
        if not 1 <= int(order.clip) <= layout.MOST:
            raise ConfigError(f"no clip has the number {order.clip}", "doorstep clips list DIR shows their numbers")
        path = clips_folder(order.folder) / layout.clip(int(order.clip))
    else:
        path = Path(order.clip)
    if not path.is_file():
        raise RecordingError(f"{path} is not there", "doorstep clips list DIR shows what is")
    return path


def _statement(path: Path) -> Signed | StatementError | None:
    """Return what was signed of the clip, if a statement lies beside it."""
    number = layout.clip_number(path.name)
    beside = path.with_name(layout.statement(number)) if number else None
    return read_statement(beside) if beside is not None and beside.is_file() else None


def _decrypted(path: Path, target: BinaryIO, keys: list[Any]) -> Opened:
    with path.open("rb") as clip, progress(path.name, path.stat().st_size) as done:
        return decrypt(clip, target, keys, done)


def _to_pipe(path: Path, keys: list[Any]) -> Opened:
    if sys.stdout.isatty():
        raise ConfigError("a terminal shows no video", f"try: doorstep clips open {path} -o - | mpv -")
    opened = _decrypted(path, sys.stdout.buffer, keys)
    sys.stdout.buffer.flush()
    return opened


def _to_file(path: Path, keys: list[Any], order: Order) -> tuple[Opened, float]:
    target = order.target or Path(path.name.removesuffix(".age").removesuffix(".ts") + ".mp4")
    with _finished(target, order.force) as unfinished, tempfile.TemporaryFile(dir=unfinished.parent) as stream:
        opened = _decrypted(path, stream, keys)
        if not opened.plain_bytes:
            raise RecordingError(f"nothing in {path} is authentic", "its first 64 KiB are damaged; copy it again")
        stream.seek(0)
        length_s = remux(stream, unfinished, not opened.whole)
    print(f"{target}: {length_s:.1f} s")
    return opened, length_s


@contextlib.contextmanager
def _finished(target: Path, force: bool) -> Iterator[Path]:
    """Hand out a file beside the target that takes its name when all went well, and is gone when not."""
    _free(target, force)
    for ending in ("SIGTERM", "SIGHUP"):  # a closed window too must leave nothing behind
        if hasattr(signal, ending):
            signal.signal(getattr(signal, ending), signal.default_int_handler)
    handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")  # 0600
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        _free(target, force)
        unfinished.replace(target)
    except BaseException:  # Ctrl-C too
        unfinished.unlink()
        raise


def _free(target: Path, force: bool) -> None:
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent}", "make it, or name another file with -o")
    if target.exists() and not target.is_file():
        raise ConfigError(f"{target} is there, and no file", "name a file with -o, not a folder or a device")
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already", "name another with -o, or overwrite it with --force")


def _report(opened: Opened, length_s: float | None, said: Signed | StatementError | None, path: Path) -> bool:
    """Say what was lost and what was signed; return whether all is right."""
    show = screen(sys.stderr)
    number, folders = layout.clip_number(path.name), named_device(path.parent)
    signed = said if isinstance(said, Signed) and said.authentic and said.statement.sequence == number else None
    other = folders if signed is not None and folders not in (None, fingerprint(signed.device)) else None
    if not opened.whole:
        show.print("cut short or damaged; all that is authentic before that was given", style="red")
        show.print(f"lost: {_lost(opened, length_s, signed.statement if signed else None)}", style="red")
    if said is None:
        show.print("no statement lies beside it: nothing shows that it is what the device recorded")
    elif signed is None:
        show.print("the statement beside it is altered, or of another clip; see: doorstep clips verify", style="red")
    elif signed.statement.sha256 == opened.sha256 and other is not None:
        show.print(f"signed by another device, {fingerprint(signed.device)}, than the folder's, {other}", style="red")
    elif signed.statement.sha256 == opened.sha256:
        show.print(f"unaltered, as device {fingerprint(signed.device)} signed it; compare that with what was noted at "
                   "installation", style="green")
    else:
        show.print(f"no longer what device {fingerprint(signed.device)} signed", style="red")
    unaltered = signed is not None and signed.statement.sha256 == opened.sha256 and other is None
    return opened.whole and (said is None or unaltered)


def _lost(opened: Opened, length_s: float | None, said: Statement | None) -> str:
    """Say how much of the video is not there, as exactly as can be known."""
    said_s = said.length_ms / 1000 if said else 0.0
    whole_bytes = opened.plain_bytes_in(said.size_bytes if said else opened.size_bytes)
    lost_bytes = max(0, whole_bytes - opened.plain_bytes)
    if said and length_s is not None:
        return f"{lost_bytes} bytes, {max(0.0, said_s - length_s):.1f} s of {said_s:.1f} s"
    if said and whole_bytes:
        return f"{lost_bytes} bytes, about {said_s * lost_bytes / whole_bytes:.1f} s of {said_s:.1f} s"
    about = f", about {length_s * lost_bytes / opened.plain_bytes:.1f} s" if length_s and opened.plain_bytes else ""
    return f"{lost_bytes} bytes{about}, and whatever was never written"
