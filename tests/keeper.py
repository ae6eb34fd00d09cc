"""The test in the place of `keep`: it says START and STOP to a real `see`, and takes its video."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from device.messages import KeepToSee, Received, Receiver, SeeToTell, Sender, pair
from tests.rig import PATIENCE_S, environment, until


class Keeper:
    """`doorstep see` with the test as its `keep` and its `tell`."""

    def __init__(self, folder: Path, toml: str, *, first: KeepToSee | None = KeepToSee.RESUME,
                 program: Sequence[str] = ("-m", "device"), **env: str) -> None:
        self.folder, self.log, self.address = folder, folder / "see.log", folder / "video.sock"
        (folder / "doorstep.toml").write_text(toml)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(str(self.address))
        self._server.listen(4)
        self.tell_writer, self._tell_reader = pair()
        self._keep_writer, keep_reader = pair()
        self._receiver = Receiver(self._tell_reader, SeeToTell)
        self._sender: Sender[KeepToSee] = Sender(self._keep_writer)
        Receiver(keep_reader, KeepToSee)  # has the kernel date what is sent, as a `see` before this one had
        self.heard: list[Received[SeeToTell]] = []
        if first is not None:
            self.says(first)
        with self.log.open("wb") as log, keep_reader:
            self.process = subprocess.Popen(
                [sys.executable, *program, "see", "--config", str(folder / "doorstep.toml"),
                 "--tell-fd", str(self.tell_writer.fileno()), "--keep-fd", str(keep_reader.fileno()),
                 "--video-socket", str(self.address), "--parent", str(os.getpid())],
                pass_fds=[self.tell_writer.fileno(), keep_reader.fileno()], stdout=subprocess.PIPE, stderr=log,
                env=environment(**env))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.communicate()
        for sock in (self._server, self.tell_writer, self._tell_reader, self._keep_writer):
            sock.close()

    def says(self, word: KeepToSee) -> None:
        assert self._sender.send(word)

    def hears(self, word: SeeToTell, most_s: float = PATIENCE_S) -> float:
        """Wait for the next `word` of those that were not heard before; return when it was sent."""
        seen = len(self.heard)

        def heard() -> list[float]:
            self.heard += self._receiver.receive()
            return [received.sent_s for received in self.heard[seen:] if received.message is word]
        until(heard, lambda: f"{word.name}; heard {self.heard}; it said {self.log.read_text()}", most_s)
        return heard()[0]

    def listen(self, seconds: float) -> list[SeeToTell]:
        """Return what is said within so long."""
        seen, end_s = len(self.heard), time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.heard += self._receiver.receive()
            time.sleep(0.01)
        return [received.message for received in self.heard[seen:]]

    def logs(self, text: str, times: int = 1) -> None:
        until(lambda: self.log.read_text().count(text) >= times, lambda: f"{text!r}; it said {self.log.read_text()}")

    def accepts(self) -> Incoming:
        """Wait for `see` to come with a clip."""
        self._server.settimeout(PATIENCE_S)
        connection, _ = self._server.accept()
        return Incoming(connection)

    def comes(self, within_s: float) -> bool:
        """Whether `see` wants to bring a clip."""
        return bool(select.select([self._server], [], [], within_s)[0])

    def records(self, seconds: float) -> bytes:
        """One clip, from START to its end."""
        self.says(KeepToSee.START)
        with self.accepts() as clip:
            clip.take(seconds)
            self.says(KeepToSee.STOP)
            return clip.rest()

    def stop_listening(self) -> None:
        self._server.close()

    def stop(self) -> tuple[int, str]:
        """End it; return its exit status and standard output."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode()


class Incoming:
    """One connection of the video link."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        self.connection, self.data = connection, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def take(self, seconds: float) -> None:
        """From the first byte on, take what comes for so long."""
        end_s = float("inf")
        while time.monotonic() < end_s:
            part = self.connection.recv(65536)
            assert part, "the clip ended by itself"
            self.data += part
            end_s = min(end_s, time.monotonic() + seconds)

    def rest(self) -> bytes:
        """Take everything up to the end of the clip."""
        while part := self.connection.recv(65536):
            self.data += part
        return self.data


def probe(clip: Path) -> dict[str, Any]:
    """What ffprobe says of the one stream in a clip; it must have nothing to complain of."""
    done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_entries", "frame=key_frame,pts_time",
                           "-of", "json", str(clip)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    (stream,) = found["streams"]
    return {**stream, "frames": found["frames"]}


def key_gaps_s(frames: Sequence[dict[str, Any]]) -> list[float]:
    """The time between one frame that stands alone and the next."""
    at_s = [float(frame["pts_time"]) for frame in frames if frame["key_frame"]]
    return [later - earlier for earlier, later in pairwise(at_s)]
