"""A decrypted clip becomes an MP4 that any player opens: the same pictures, packed differently.

Rule 1: nothing is encoded again: each picture is byte for byte what the camera's encoder made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av

from device.errors import RecordingError

av.logging.set_level(av.logging.PANIC)  # what is wrong is said once, in our words


def remux(stream: BinaryIO, target: Path, cut: bool) -> float:
    """Write an MPEG-TS as MP4; return its length in seconds. Of a cut one the last picture, which is torn, is left out.

    Raise RecordingError where there is no picture, and OSError where the target cannot be written.
    """
    pictures = _pictures(stream, cut)
    first = next(pictures, None)
    if first is None:
        raise _no_video()
    unit_s, begins, end = first.time_base, first.dts, 0
    container: Any = av.open(str(target), "w", format="mp4", options={"movflags": "faststart"})
    with container as packed:
        if hasattr(packed, "add_stream_from_template"):  # PyAV 14 and newer
            out = packed.add_stream_from_template(first.stream)
        else:
            out = packed.add_stream(template=first.stream)
        picture: Any = first
        last = -1
        while picture is not None:
            # Times that go back, as only a camera that was taken over writes them, go on by the least there is.
            picture.dts = last = max(last + 1, picture.dts - begins)
            picture.pts = max(picture.dts, picture.pts - begins)
            end = max(end, picture.pts + (picture.duration or 0))
            picture.stream = out
            _mux(packed, picture)
            picture = next(pictures, None)
    return float(end * unit_s)


def _mux(packed: Any, picture: Any) -> None:
    try:
        packed.mux(picture)
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # of the disk
            raise
        raise RecordingError(f"the video cannot be packed as MP4: {error}", "-o - gives it as it is") from None


def _pictures(stream: BinaryIO, cut: bool) -> Iterator[Any]:
    """Yield the encoded pictures of the video."""
    held: Any = None
    try:
        container: Any = av.open(stream, format="mpegts")
        with container as source:
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is None or packet.pts is None:
                    continue  # the end, or a picture without a time, which a torn stream may have
                if held is not None:
                    yield held
                held = packet
            if held is not None and not cut:
                yield held
    except (av.FFmpegError, IndexError):  # no MPEG-TS, or one without a video
        raise _no_video() from None


def _no_video() -> RecordingError:
    return RecordingError("no video could be read from what was decrypted",
                          "-o - gives it as it is; was it recorded by Doorstep?")
