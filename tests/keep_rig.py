"""The real `doorstep keep` for a test, which is its finger, its `see` and its `tell`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyrage

from device.keep import layout, statement
from device.messages import KeepToSee, KeepToTell, Receiver, pair
from tests.finger import Finger
from tests.rig import environment, until

OWNER = pyrage.x25519.Identity.generate()
TINY = "bitrate_mbit = 0.2\nlongest_s = 1\nbudget_mb = 2.6\n"  # a clip takes at most 2.03 MB, so one fits
SMALL = "bitrate_mbit = 0.5\nlongest_s = 20\nbudget_mb = 20\n"  # a clip takes at most 3.6 MB


def send(video: socket.socket, data: bytes) -> None:
    """Send as `see` does, a packet of 64 KiB after the other."""
    for at in range(0, len(data), 65_536):
        video.sendall(data[at:at + 65_536])


@dataclass(slots=True)
class Keep:
    """The real `doorstep keep` with mock pins, at the ends of real links."""

    folder: Path
    recording: str
    heard: list[KeepToTell] = field(default_factory=list)
    asked: list[KeepToSee] = field(default_factory=list)
    process: subprocess.Popen[bytes] = field(init=False)
    state: Path = field(init=False)
    listener: socket.socket = field(init=False)
    _links: list[socket.socket] = field(init=False)
    _tell: Receiver[KeepToTell] = field(init=False)
    _see: Receiver[KeepToSee] = field(init=False)

    def __enter__(self) -> Self:
        self.state = self.folder / "state"
        (self.folder / "doorstep.toml").write_text(
            f'[recording]\npanel = "gpio"\nfolder = "state"\n{self.recording}')
        to_tell, tell = pair()
        to_see, see = pair()
        self._links = [to_tell, tell, to_see, see]
        self._tell, self._see = Receiver(tell, KeepToTell), Receiver(see, KeepToSee)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.folder / "video.sock"))
        self.listener.listen()
        self.start()
        return self

    def start(self, **more: str) -> None:
        (self.folder / "finger.sock").unlink(missing_ok=True)
        fds = [self._links[0].fileno(), self._links[2].fileno(), self.listener.fileno()]
        with (self.folder / "keep.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.finger", "keep", "--config", str(self.folder / "doorstep.toml"),
                 "--tell-fd", str(fds[0]), "--see-fd", str(fds[1]), "--video-fd", str(fds[2]), "--parent", str(os.getpid())],
                pass_fds=fds, stdin=subprocess.DEVNULL, stderr=log,
                env=environment(FINGER=str(self.folder / "finger.sock"), **more))

    @property
    def finger(self) -> Finger:
        return Finger(self.folder / "finger.sock")

    @property
    def said(self) -> str:
        return (self.folder / "keep.log").read_text()

    def _listen(self) -> None:
        self.heard += [received.message for received in self._tell.receive()]
        self.asked += [received.message for received in self._see.receive()]

    def hears(self, *words: KeepToTell, most_s: float = 20) -> None:
        """Wait until `words` are the last that the phone was told, in this order, signs of life aside."""
        until(lambda: self.told[-len(words):] == list(words), lambda: f"{words}; heard {self.heard}; said {self.said}", most_s)

    @property
    def told(self) -> list[KeepToTell]:
        """All that was told so far; PAUSED is a sign of life too."""
        self._listen()
        signs = (KeepToTell.ALIVE, KeepToTell.RECORDING, KeepToTell.FAULT)
        return [word for n, word in enumerate(self.heard)
                if word not in signs and not (word is KeepToTell.PAUSED and self.heard[n - 1:n] == [word])]

    def lives(self, word: KeepToTell) -> None:
        """Wait for a fresh sign of life."""
        self._listen()
        before = len(self.heard)
        self.waits(lambda: word in self.heard[before:], f"{word!r} as a sign of life")

    def asks(self, word: KeepToSee) -> None:
        """Wait until `see` is asked for `word`."""
        self.waits(lambda: word in self.asked, f"{word!r}")
        self.asked.clear()

    def waits(self, true: Callable[[], object], what: str) -> None:
        def looked() -> object:
            self._listen()
            return true()
        until(looked, lambda: f"{what}; asked {self.asked}, heard {self.heard}; said {self.said}")

    def video(self) -> socket.socket:
        """Connect as `see` does."""
        video = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        video.connect(str(self.folder / "video.sock"))
        video.settimeout(20)
        return video

    def record(self, data: bytes, *, end: bool = True) -> socket.socket:
        """Press, and send `data` as the camera's process would; with `end`, press again and end the stream."""
        self.finger.press()
        self.asks(KeepToSee.START)
        video = self.video()
        send(video, data)
        if end:
            self.waits(lambda: self.names("ts.age"), "a clip")
            self.finger.press()
            self.asks(KeepToSee.STOP)
            video.close()
            self.hears(KeepToTell.RECORDING_ENDED)
        return video

    def names(self, ending: str = "") -> list[str]:
        clips = self.state / "clips"
        return sorted(path.name for path in clips.iterdir() if path.name.endswith(ending)) if clips.exists() else []

    def opened(self, number: int) -> bytes:
        """What the owner gets."""
        return bytes(pyrage.decrypt((self.state / "clips" / layout.clip(number)).read_bytes(), [OWNER]))

    def stated(self, number: int) -> statement.Signed:
        signed = statement.parse((self.state / "clips" / layout.statement(number)).read_bytes())
        assert signed.authentic
        return signed

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for link in (*self._links, self.listener):
            link.close()


def owned(more: str = SMALL) -> str:
    return f'recipients = ["{OWNER.to_public()}"]\n{more}'
