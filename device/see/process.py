"""The process that has the camera: frames in, one-byte messages out.

Rule 1: what leaves is a SeeToTell; no frame, and nothing computed from one, has another way out but a clip to `keep`.
Rule 2: it says ALIVE because a frame came, never because a timer did.
Rule 3: a camera that fails is told at once, reopened with back-off, and given up to a restart only when it
        cannot even be closed.
"""

from __future__ import annotations

import socket
import threading
import time

from device.config import Config
from device.errors import CameraError
from device.log import Log
from device.messages import ALIVE_EVERY_S, SeeToTell, Sender
from device.notify import Manager
from device.see.camera import Camera, open_camera
from device.see.detector import Detector
from device.see.gate import PAUSED_LOOK_S, Doing, Gate
from device.see.mask import watched
from device.stopping import Stop

REOPEN_FIRST_S, REOPEN_MOST_S = 1.0, 60.0
CLOSE_MOST_S = 3.0
RATE_OVER_S = 10.0  # so that it is the same number nearly always

# What a message of the detector says of the state that signs of life repeat.
MOVES = {SeeToTell.MOTION_STARTED: True, SeeToTell.MOTION_ENDED: False}
BLOCKS = {SeeToTell.VIEW_BLOCKED: True, SeeToTell.VIEW_CLEAR: False}


def run(config: Config, to_tell: socket.socket, address: str | None = None, *, manager: Manager,
        from_keep: socket.socket | None = None, video_address: str = "") -> int:
    """Watch until asked to stop, or until a recording ends. Raise CameraError where none can be opened.

    `to_tell` is one end of a pair, or a fresh datagram socket that is to be connected to `address`. `from_keep`
    is the reading end of a link; what it has recorded goes to the packet socket at `video_address`.
    """
    log = Log("see")
    gate = Gate(from_keep, video_address, config, log)
    with Stop() as stop:
        eye = _Eye(config, Sender(to_tell, address), manager, log)
        gate.first_word(stop)
        camera = open_camera(config.camera) if gate.doing is not Doing.PAUSED else None
        wait_s = REOPEN_FIRST_S
        while not stop.asked:
            if gate.doing is Doing.PAUSED:
                manager.alive("paused")
                gate.wait(PAUSED_LOOK_S, stop)
                continue
            rest_s = 0.0
            try:
                camera = camera or open_camera(config.camera)
                if eye.watch(camera, stop, gate):
                    break
            except CameraError as error:
                gate.lost(error.message)
                eye.lost(error)
                wait_s = REOPEN_FIRST_S if eye.frames else min(2 * wait_s, REOPEN_MOST_S)
                rest_s = wait_s
            eye.frames = 0
            if not _closed(camera):
                if stop.wait(0):
                    return 0  # the end of the process closes it
                log.say("the camera cannot be closed; starting over")
                return 1
            camera = None
            gate.wait(rest_s, stop)
        eye.stopped()
        _closed(camera)  # a hung one is closed by the end of the process
        gate.close()
        return 0


class _Eye:
    """The detector with a voice."""

    def __init__(self, config: Config, to_tell: Sender[SeeToTell], manager: Manager, log: Log) -> None:
        self._config, self._to_tell, self._manager, self._log = config, to_tell, manager, log
        self._trouble = ""
        self._moving = self._blocked = False
        self._unsent_before = 0
        self.frames = 0  # since the camera was opened last
        self._frames_in_all = 0

    def watch(self, camera: Camera, stop: Stop, gate: Gate) -> bool:
        """Look at frames until there are no more, or shall be no more: True; or until watching is paused: False."""
        detector: Detector | None = None
        self._moving = self._blocked = False
        alive_s = -ALIVE_EVERY_S
        rated_s, rated, words = time.monotonic(), self._frames_in_all, "watching"
        for frame in camera.frames():
            gate.follow(camera)
            if stop.asked or gate.doing is Doing.PAUSED:
                break
            if detector is None:
                mask = watched(self._config.camera.mask, *frame.luma.shape)
                detector = Detector(self._config.detector.sensitivity, mask)
            for message in detector.step(frame):
                self._to_tell.send(message)
                self._moving = MOVES.get(message, self._moving)
                self._blocked = BLOCKS.get(message, self._blocked)
            now_s = time.monotonic()
            if now_s - alive_s >= ALIVE_EVERY_S:
                alive_s = now_s
                self._say_alive()
                if now_s - rated_s >= RATE_OVER_S:
                    words = f"watching, {(self._frames_in_all - rated) / (now_s - rated_s):.0f} frames/s"
                    rated_s, rated = now_s, self._frames_in_all
                self._manager.alive(words)
            if not self.frames:
                if self._trouble or not self._frames_in_all:  # not after a pause: a line dates what it tells of
                    self._log.say(f"watching at {frame.luma.shape[1]} x {frame.luma.shape[0]}")
                self._trouble = ""
            self.frames += 1
            self._frames_in_all += 1
            del frame  # it was lent: a camera that goes over to recording gives its buffers back
        if gate.doing is Doing.PAUSED and self._moving:
            self._to_tell.send(SeeToTell.MOTION_ENDED)  # what was said to start is said to end
        return gate.doing is not Doing.PAUSED or stop.asked

    def _say_alive(self) -> None:
        word = SeeToTell.ALIVE
        if self._blocked:
            word = SeeToTell.VIEW_BLOCKED
        elif self._moving:
            word = SeeToTell.MOVING
        self._to_tell.send_alive(word)
        if self._to_tell.unsent and not self._unsent_before:  # once: a growing count would date events
            self._log.say("tell does not take messages; watching goes on")
        self._unsent_before = self._to_tell.unsent

    def stopped(self) -> None:
        """Say at the end what was looked at, and what nobody took."""
        self._log.say(f"stopped after {self._frames_in_all} frames; {self._to_tell.unsent} messages were not taken")

    def lost(self, error: CameraError) -> None:
        """Tell at once that there is no camera; say why once per reason."""
        self._to_tell.send(SeeToTell.CAMERA_LOST)
        self._manager.say("no camera")
        if error.message != self._trouble:
            self._trouble = error.message
            self._log.say(f"{error.message}; trying again ({error.hint})")


def _closed(camera: Camera | None) -> bool:
    """Close the camera; False where its driver hangs, which only the end of this process mends."""
    if camera is None:
        return True
    done = threading.Event()

    def close() -> None:
        camera.close()
        done.set()  # not reached where closing raises: then it is not closed either

    threading.Thread(target=close, name="close camera", daemon=True).start()
    return done.wait(CLOSE_MOST_S)
