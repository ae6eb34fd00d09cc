"""What `keep` asks of the camera: to record, to stop, to pause, to resume.

Rule 1: only START, said by `keep` a moment ago, leads to RECORDING; no other word, state or error does.
Rule 2: what goes wrong with a recording ends the recording; watching goes on.
"""

from __future__ import annotations

import enum
import select
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from device.config import Config
from device.errors import ConfigError
from device.log import Log
from device.messages import KeepToSee, Receiver
from device.stopping import Stop

if TYPE_CHECKING:  # neither is loaded where there is a motion sensor; FFmpeg only where there is a `keep` to record for
    from device.see.camera import Camera
    from device.see.clip import Clip

FIRST_WORD_S = 1.5  # `keep` says each second whether watching is paused
LATE_S = 3.0  # a START that waited for longer, as for a `see` that was down, is nobody's wish any more
PAUSED_LOOK_S = 5.0  # a word of `keep` and a signal end the wait; the watchdog is fed after it
FLUSH_MOST_S = 0.8  # `doorstep run` gives `see` a second to stop


class Doing(enum.Enum):
    """What the camera is there for just now."""

    WATCHING = "watching"
    RECORDING = "recording, and watching"
    PAUSED = "closed"


NEXT: dict[Doing, dict[KeepToSee, Doing]] = {
    Doing.WATCHING: {
        KeepToSee.START: Doing.RECORDING,
        KeepToSee.STOP: Doing.WATCHING,
        KeepToSee.PAUSE: Doing.PAUSED,
        KeepToSee.RESUME: Doing.WATCHING,
    },
    Doing.RECORDING: {
        KeepToSee.START: Doing.RECORDING,
        KeepToSee.STOP: Doing.WATCHING,
        KeepToSee.PAUSE: Doing.PAUSED,
        KeepToSee.RESUME: Doing.RECORDING,  # said each second: not paused
    },
    Doing.PAUSED: {
        KeepToSee.START: Doing.PAUSED,
        KeepToSee.STOP: Doing.PAUSED,
        KeepToSee.PAUSE: Doing.PAUSED,
        KeepToSee.RESUME: Doing.WATCHING,
    },
}


class Gate:
    """The link from `keep`, and the one recording there may be. Without a link it is always WATCHING."""

    def __init__(self, link: socket.socket | None, video_address: str, config: Config, log: Log) -> None:
        if link is not None and (link.family, link.type) != (socket.AF_UNIX, socket.SOCK_DGRAM):
            raise ConfigError("the socket to hear `keep` on is no Unix datagram socket",
                              "in its unit: ListenDatagram=/run/doorstep/see.sock")
        self._receiver = Receiver(link, KeepToSee) if link is not None else None
        self._video_address, self._config, self._log = video_address, config, log
        self._clip: Clip | None = None
        self._last: Clip | None = None  # it may still be sending
        self._heard = False
        self._began_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.doing = Doing.WATCHING
        if link is not None and config.camera.has_picture:
            import device.see.clip  # noqa: F401  # loaded before the press: it would be a part of the wait

    def follow(self, camera: Camera | None) -> None:
        """Hear what `keep` said, and have the camera do it."""
        if self._clip is not None and self._clip.over:
            self.doing = NEXT[self.doing][KeepToSee.STOP]
        self._obey(camera)
        for word in self._words():
            self.doing = NEXT[self.doing][word]
            self._obey(camera)

    def _words(self) -> Iterator[KeepToSee]:
        for received in self._receiver.receive() if self._receiver is not None else ():
            # What waited from before we asked may be stale; a pause is believed at any age.
            self._heard |= received.message is KeepToSee.PAUSE or received.sent_s >= self._began_s
            late_s = time.clock_gettime(time.CLOCK_BOOTTIME) - received.sent_s
            if received.message is KeepToSee.START and late_s > LATE_S:
                self._log.say(f"asked to record {late_s:.0f} s ago, which is too late")
            else:
                yield received.message

    def _obey(self, camera: Camera | None) -> None:
        wanted = self.doing is Doing.RECORDING
        if wanted and self._clip is None:
            self._start(camera)
        elif not wanted and self._clip is not None:
            self._stop(camera)

    def _start(self, camera: Camera | None) -> None:
        if not self._config.camera.has_picture:  # an honest `keep` does not ask
            self._log.say("asked to record, where there is no picture; nothing is recorded")
            self.doing = Doing.WATCHING
            return
        from device.see.clip import Clip

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)  # a `keep` that does not accept is one that takes no video
        try:
            connection.connect(self._video_address)
        except OSError as error:
            connection.close()
            self._log.say(f"keep takes no video at {self._video_address}: {error.strerror}; nothing is recorded")
            self.doing = Doing.WATCHING
            return
        self._clip = Clip(connection, self._config.recording, self._config.camera.mask, self._log.say)
        if camera is None:
            self._clip.fail("there is no camera")
        else:
            camera.record(self._clip)

    def _stop(self, camera: Camera | None) -> None:
        if self._last is not None:
            self._last.join(0.0)  # whoever has not taken the one before by now never will
        self._last, self._clip = self._clip, None
        if camera is not None:
            camera.record(None)
        elif self._last is not None:
            self._last.end()

    def lost(self, why: str) -> None:
        """The camera is gone, and with it the recording."""
        if self._clip is not None:
            self._clip.fail(why)
            self._last, self._clip, self.doing = self._clip, None, Doing.WATCHING

    def first_word(self, stop: Stop) -> None:
        """Before the camera is opened: wait a moment for what `keep` has to say, such as that watching is paused."""
        end_s = time.monotonic() + FIRST_WORD_S
        while self._receiver is not None and not self._heard and (left_s := end_s - time.monotonic()) > 0:
            select.select([stop.fileno(), self._receiver.fileno()], [], [], left_s)
            if stop.asked:
                return
            for word in self._words():
                self.doing = NEXT[self.doing][word]  # followed once there is a camera

    def wait(self, seconds: float, stop: Stop) -> None:
        """Without a camera: wait so long, or until `keep` has it otherwise, or until asked to stop."""
        end_s, was = time.monotonic() + seconds, self.doing
        while not stop.asked and self.doing is was and (left_s := end_s - time.monotonic()) > 0:
            if self._receiver is None:
                stop.wait(left_s)
                return
            ready, _, _ = select.select([stop.fileno(), self._receiver.fileno()], [], [], left_s)
            self.follow(None)
            if self._receiver.fileno() in ready:
                stop.wait(0.05)  # should something be readable that is no word, it must not keep us busy

    def close(self) -> None:
        """Once the camera is closed: let the last clip be sent to its end, for a moment."""
        clip = self._clip or self._last
        if clip is not None:
            clip.end()
            clip.join(FLUSH_MOST_S)
