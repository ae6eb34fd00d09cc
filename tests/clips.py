"""A folder of clips as a device leaves it: real MPEG-TS, real age files, a real chain of statements."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.keep import layout
from device.keep.statement import Ended, Statement, digest
from tests.rig import environment

PICTURES_PER_S = 25
LENGTH_S = 4


@functools.cache
def video() -> bytes:
    """An MPEG-TS as the camera's process makes it: H.264, a key picture each second, about 1.2 MB of noise."""
    target, random = io.BytesIO(), np.random.default_rng(1)
    with av.open(target, "w", format="mpegts") as packed:
        stream = packed.add_stream("libx264", rate=PICTURES_PER_S)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 2_000_000
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(PICTURES_PER_S)}
        for number in range(PICTURES_PER_S * LENGTH_S):
            picture = av.VideoFrame.from_ndarray(random.integers(0, 255, (360, 320), np.uint8), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, PICTURES_PER_S)
            packed.mux(stream.encode(picture))
        packed.mux(stream.encode(None))
    return target.getvalue()


@dataclass
class Clips:
    """The folder, the device that fills it, and its owner's key."""

    folder: Path
    device: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    owner: pyrage.x25519.Identity = field(default_factory=pyrage.x25519.Identity.generate)
    before: str | None = None
    started: datetime = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        public = self.device.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / layout.PUBLIC).write_bytes(public)

    def clip(self, number: int) -> Path:
        return self.folder / layout.clip(number)

    def statement(self, number: int) -> Path:
        return self.folder / layout.statement(number)

    def identity(self) -> Path:
        path = self.folder.parent / "identity.txt"
        path.write_text(f"# a comment\n\n{self.owner}\n")
        return path

    def record(self, number: int, plain: bytes = b"", *, power_cut: bool = False, deleted: tuple[int, ...] = ()) -> Path:
        """Record a clip; of `deleted` ones the files are gone and their statements stay."""
        sealed = io.BytesIO()
        pyrage.encrypt_io(io.BytesIO(plain or b"clip %d" % number), sealed, [self.owner.to_public()])
        data = sealed.getvalue()
        self.clip(number).write_bytes(data)
        self.started += timedelta(minutes=1)
        if not power_cut:
            for gone in deleted:
                self.clip(gone).unlink()
            said = Statement(number, hashlib.sha256(data).hexdigest(), len(data), self.started, 1000 * LENGTH_S, Ended.BUTTON,
                             deleted, self.before).signed(self.device)
            self.statement(number).write_bytes(said)
            self.before = digest(said)
        return self.clip(number)


def in_terminal(*arguments: str | Path, **more: str) -> tuple[int, str]:
    """The exit status of a command, and what a terminal of 80 columns shows of it."""
    command = [sys.executable, "-m", "device", *map(str, arguments)]
    main_end, side = pty.openpty()
    process = subprocess.Popen(command, stdout=side, stderr=side, env=environment(TERM="xterm", COLUMNS="80", **more))
    os.close(side)
    shown = b""
    try:
        while piece := os.read(main_end, 65536):
            shown += piece
    except OSError:  # the other end is closed: Linux says so with an error
        pass
    os.close(main_end)
    return process.wait(60), shown.decode().replace("\r\n", "\n")
