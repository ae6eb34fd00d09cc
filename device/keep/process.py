"""The process that has the button, the light and the recordings: touches in, encrypted clips out.

Rule 1: video is taken only between a press and the end of its recording; what comes otherwise is not read.
Rule 2: what stands in the way of a recording closes the gate, and light and phone say so; watching goes on.
Rule 3: it has no network and no camera: it speaks in one-byte messages, and never waits for an answer.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from dataclasses import dataclass, field

from device import sandbox
from device.bell import bell, drain, wake
from device.config import Config
from device.errors import VaultError
from device.keep.gate import ALIVE, FAULT_LEAST_S, LIGHT, NEXT, RECORDS, WORDS, Gate, Light, Signal, Times, told
from device.keep.panel import Panel, Touch, open_panel
from device.keep.recorder import ENDED, Recorder
from device.keep.statement import Ended
from device.keep.vault import state_folder
from device.log import Log
from device.messages import ALIVE_EVERY_S, KeepToSee, KeepToTell, Sender
from device.notify import Manager
from device.runtime import runtime_folder
from device.sandbox_calls import Role
from device.stopping import Stop

LOOK_EVERY_S = 10.0  # at the folder and the room in it, while nothing is recorded
LAST_FRAMES_MOST_S = 1.0  # how long a clean stop waits for them


@dataclass(frozen=True, slots=True)
class Links:
    """What `keep` is given: the ways to `tell` and `see`, and the listening socket for video."""

    tell: Sender[KeepToTell]
    see: Sender[KeepToSee]
    video: socket.socket


def run(config: Config, links: Links) -> int:
    """Keep until asked to stop. Raise PanelError where the panel cannot be opened."""
    log = Log("keep")
    runtime = runtime_folder(dict(os.environ), config.id)
    changes = [runtime] if runtime else []
    if config.recording.recipients:
        changes.append(state_folder(config.recording, config.id, os.environ).parent)  # it may go and come again
    sandbox.give_up(Role.KEEP, changes)  # before the panel starts threads
    panel = open_panel(config.recording, runtime)
    if panel is None:
        log.say("no button on this machine: nothing can be recorded")
    try:
        with Stop() as stop, Manager(os.environ) as manager, selectors.DefaultSelector() as selector:
            selector.register(stop, selectors.EVENT_READ)
            with contextlib.closing(Keeper(config, links, panel, selector, log)) as keeper:
                sandbox.shut(Role.KEEP)  # pins and sockets are open
                while not stop.asked:
                    manager.alive(keeper.in_words())
                    keeper.step()
                keeper.goodbye()
    finally:
        if panel is not None:
            panel.close()
    return 0


@dataclass(slots=True)
class Keeper:
    """The loop's body: gate, panel, recorder and links put together."""

    config: Config
    links: Links
    panel: Panel | None
    selector: selectors.BaseSelector
    log: Log
    gate: Gate = Gate.CLOSED
    _times: Times = field(default_factory=lambda: Times(time.monotonic()))
    _ended: Ended = Ended.STOPPED  # why the clip that is ending ends
    _said_s: float = 0.0
    _looked_s: float = 0.0
    _trouble: str = ""
    _low: bool = False
    _room: str = ""
    _rings: tuple[socket.socket, socket.socket] = field(default_factory=bell)
    _recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        settings = self.config.recording
        self._recorder = Recorder(settings, state_folder(settings, self.config.id, os.environ), self.links.video,
                                  self.selector, lambda: wake(self._rings[0]), self.log.say,
                                  self.config.camera.has_picture)
        self.selector.register(self._rings[1], selectors.EVENT_READ)
        if self.panel is not None:
            self.selector.register(self.panel, selectors.EVENT_READ)
        self._show(LIGHT[self.gate])
        self._look()
        self._say_alive()

    def step(self) -> None:
        """Wait for what comes next, at most until the next sign of life, and see to it."""
        self.selector.select(max(0.0, self._said_s + ALIVE_EVERY_S - time.monotonic()))
        drain(self._rings[1])
        for touch in self.panel.touches() if self.panel else ():
            self._touched(touch)
        if self.panel is not None and self.panel.is_gone:
            self._part()
        self._follow()
        now_s = time.monotonic()
        if now_s - self._said_s >= ALIVE_EVERY_S:
            if self.gate in RECORDS and not self._show(Light.ON):
                self._take(Signal.BROKEN, "the light went out")
            if self.gate not in RECORDS and now_s - self._looked_s >= LOOK_EVERY_S:
                self._look()
            self._say_alive()

    def _part(self) -> None:
        """Go on without a panel that is gone: nobody can press it, and nobody could see its light."""
        assert self.panel is not None
        self.selector.unregister(self.panel)
        self.panel.close()
        self.panel = None
        self.log.say("the button is gone: nothing can be recorded any more")
        self._take(Signal.BROKEN, "the light is gone")

    def in_words(self) -> str:
        """Say how it stands, for `doorstep status`."""
        if self.panel is None:
            return "no button"
        if self._recorder.unwanted and self.gate is not Gate.PAUSED:
            return self._recorder.unwanted
        return ", ".join(filter(None, (WORDS[self.gate], self._room)))

    def _touched(self, touch: Touch) -> None:
        if touch is Touch.HOLD:
            self._take(Signal.HOLD)
            return
        trouble = "" if self.gate in RECORDS or self.gate is Gate.PAUSED else self._obstacle()
        self._take(Signal.REFUSED if trouble else Signal.PRESS, trouble)

    def _obstacle(self) -> str:
        """Make all ready for a recording; return what stands in its way, or nothing. The light is tried first."""
        if not self._show(Light.ON):
            why = self.panel.trouble if self.panel else "there is none"
            return f"the light cannot be lit, and nothing is recorded without it: {why}; check led_pin and its wires"
        try:
            self._recorder.check(make_room=True)
        except VaultError as error:
            return f"{error.message}; {error.hint}"
        return ""

    def _follow(self) -> None:
        """See what became of the recording, and of the time."""
        over = self._recorder.step()
        self.log.count("video that nobody asked for was not read", self._recorder.unasked)
        if over is not None:
            self._take(Signal.BROKEN if over else Signal.STREAM_END, over or "the camera ended the recording")
            return
        self._times.first_byte_s, self._times.last_byte_s = self._recorder.first_byte_s, self._recorder.last_byte_s
        overdue = self._times.overdue(self.gate, time.monotonic(), self.config.recording.longest_s)
        if overdue is not None:
            slow = self._recorder.waits_for_disk
            self._take(overdue, "the disk does not keep up" if slow else "no video comes from the camera")

    def _look(self) -> None:
        """Look at the folder before a press needs it."""
        self._looked_s = time.monotonic()
        if self._recorder.unwanted or self.panel is None:
            trouble = ""  # recording is not wanted here; a press will be told why it is refused
        else:
            try:
                self._recorder.check()
                trouble = ""
            except VaultError as error:
                trouble = f"{error.message}; {error.hint}"
        self._room = self._recorder.room
        low, before = self._recorder.is_low, self._low
        self._low = low
        if low and not before:
            self.links.tell.send(KeepToTell.STORAGE_LOW)
        if trouble:
            self._take(Signal.BROKEN, trouble)
        elif self.gate is Gate.FAULT and self._looked_s - self._times.since_s >= FAULT_LEAST_S:
            self._take(Signal.MENDED)

    def _take(self, signal: Signal, why: str = "") -> None:
        """Do the step of the gate that `signal` asks for: the light, then the camera, then the clip."""
        before, self.gate = self.gate, NEXT[self.gate][signal]
        if self.gate is not before:
            self._times = Times(time.monotonic())
            if before in RECORDS:
                why = self._end(before, signal) or why
            elif self.gate is Gate.PAUSED:
                self.links.see.send(KeepToSee.PAUSE)  # a sign of life would not be said to a `see` that is down
            elif self.gate is Gate.OPEN:
                self._recorder.expect()
                self.links.see.send(KeepToSee.START)
                self._trouble = ""
        if self.gate is Gate.FAULT and why != self._trouble:  # once per reason: a line dates what it tells of
            self._trouble = why
            self.log.say(why)
        self._show(LIGHT[self.gate])
        for word in told(before, signal, self.gate):
            self.links.tell.send(word)
        if before is Gate.PAUSED and self.gate is Gate.CLOSED:
            self._look()  # a fault of before may still hold: then it is not told to be over
        if self.gate is not before:
            self._say_alive()  # a camera closes and opens now, not within a second

    def _end(self, before: Gate, signal: Signal) -> str:
        """Have the camera stop; once its frames are no longer waited for, end the clip. Return what went wrong."""
        if before is Gate.OPEN:
            disk = signal is Signal.BROKEN and self._recorder.waits_for_disk
            self._ended = Ended.STORAGE if disk else ENDED[signal]
        # A pause closes the camera now, whatever the disk takes to finish the clip.
        self.links.see.send(KeepToSee.PAUSE if self.gate is Gate.PAUSED else KeepToSee.STOP)
        if self.gate in RECORDS:
            return ""
        self._recorder.cut()
        self._show(LIGHT[self.gate])
        trouble = self._recorder.finish(self._ended)
        if trouble and self.gate is Gate.CLOSED:
            self.gate = Gate.FAULT
        return trouble

    def _show(self, light: Light) -> bool:
        return self.panel is not None and self.panel.show(light)

    def _say_alive(self) -> None:
        """Say the whole state, so that whatever was lost or has started again knows."""
        self._said_s = time.monotonic()
        self.links.tell.send_alive(ALIVE[self.gate])
        self.links.see.send_alive(KeepToSee.PAUSE if self.gate is Gate.PAUSED else KeepToSee.RESUME)

    def goodbye(self) -> None:
        """Finish the clip, and say that it is over."""
        if self.gate not in RECORDS:
            return
        self.links.see.send(KeepToSee.STOP)
        until_s = time.monotonic() + LAST_FRAMES_MOST_S
        while self._recorder.step() is None and time.monotonic() < until_s:
            with contextlib.suppress(OSError):
                self._rings[1].settimeout(0.1)
                self._rings[1].recv(1)
        trouble = self._recorder.finish(Ended.STOPPED)
        if trouble:
            self.log.say(trouble)
        self.links.tell.send(KeepToTell.RECORDING_ENDED)

    def close(self) -> None:
        """Put the bell away, and let the folder go."""
        self._recorder.close()
        for end in self._rings:
            end.close()
