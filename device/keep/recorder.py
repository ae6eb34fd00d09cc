"""From the video socket to a clip in the vault: what the gate opens and shuts.

Rule 1: a connection is read only when it was made after `expect()`, and only one; any other is closed unread.
Rule 2: no file is made before the first byte of video is there.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from device import config
from device.errors import DoorstepError, VaultError
from device.keep.clip import Clip
from device.keep.gate import Signal
from device.keep.statement import Ended, fingerprint
from device.keep.vault import Vault, read_recipients
from device.messages import SO_PASSRIGHTS

ENDED: dict[Signal, Ended] = {  # what a statement says of the signal that ended its clip
    Signal.PRESS: Ended.BUTTON,
    Signal.REFUSED: Ended.BUTTON,
    Signal.HOLD: Ended.BUTTON,
    Signal.TIME_UP: Ended.TIME,
    Signal.STREAM_END: Ended.STREAM,
    Signal.BROKEN: Ended.STREAM,  # what the disk refused, the clip knows itself
    Signal.MENDED: Ended.STREAM,  # ends none
}
WAITING_MOST = 64  # connections that can wait: no backlog of ours is longer


@dataclass(slots=True)
class Recorder:
    """One recording at a time.

    listener: the listening socket that the camera's process connects to. wake: called from the clip's thread.
    has_picture: whether there is a camera to record from.
    """

    settings: config.Recording
    folder: Path
    listener: socket.socket
    selector: selectors.BaseSelector
    wake: Callable[[], None]
    say: Callable[[str], None]
    has_picture: bool = True
    unasked: int = 0  # connections that were closed unread
    _vault: Vault | None = None
    _recipients: list[pyrage.x25519.Recipient] = field(default_factory=list)
    _expects: bool = False
    _video: socket.socket | None = None  # connected, and not a byte has come yet
    _clip: Clip | None = None

    def __post_init__(self) -> None:
        self.listener.setblocking(False)
        # A descriptor sent along with video would be closed by us, and closing can be made to block. Older kernels
        # cannot refuse it; there the confinement of `see` denies it the call.
        with contextlib.suppress(OSError):
            self.listener.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def check(self, *, make_room: bool = False) -> None:
        """See whether a recording is possible; for one that follows, make room if the owner chose so.

        Raise VaultError where none is; then everything is looked at afresh the next time.
        """
        try:
            if not self.has_picture:
                raise VaultError("there is no picture to record", "a motion sensor has none: source under [camera]")
            if not self.settings.recipients:
                raise VaultError("nobody could open a clip: no recipient is configured",
                                 "doorstep key new, then put its age1... into recipients under [recording]")
            self._recipients = read_recipients(self.settings.recipients)
            self._vault = self._vault or self._opened()
            if make_room:
                self._vault.make_room()
            else:
                self._vault.check()
        except VaultError:
            self.close()
            raise

    @property
    def unwanted(self) -> str:
        """Why nothing is ever recorded here, as `doorstep status` says it; empty where something is."""
        return "no picture" if not self.has_picture else "no recipient" if not self.settings.recipients else ""

    def _opened(self) -> Vault:
        vault = Vault(self.settings, self.folder)
        if vault.is_new:
            self.say("clips will be signed by a new key; note its fingerprint, for doorstep clips verify --device: "
                     + fingerprint(vault.key.public_key().public_bytes_raw()))
        return vault

    def close(self) -> None:
        """Let the folder go, to be looked at afresh; may be called twice."""
        vault, self._vault = self._vault, None
        if vault is not None:
            vault.close()

    @property
    def is_low(self) -> bool:
        """Whether room is short, as far as it is known."""
        try:
            return self._vault is not None and self._vault.is_low()
        except VaultError:
            return False  # worse than low, which check() says

    @property
    def room(self) -> str:
        """How much there is and how much more there may be, in words; empty where it is not known."""
        with contextlib.suppress(VaultError):  # check() says it
            if self._vault is not None:
                more = max(0, self._vault.room_bytes()) // self.settings.clip_most_bytes
                return f"{len(self._vault.numbers())} clips, room for {more} more"
        return ""

    def expect(self) -> None:
        """From now on one connection is wanted; those of before are not."""
        for _ in range(WAITING_MOST):
            if not self._accept():
                break
        self._expects = True

    @property
    def first_byte_s(self) -> float | None:
        """When the first byte of this recording came (time.monotonic()), if it has."""
        return self._clip.first_byte_s if self._clip else None

    @property
    def last_byte_s(self) -> float | None:
        """When its latest byte came."""
        return self._clip.last_byte_s if self._clip else None

    def step(self) -> str | None:
        """Take what is wanted; return why the recording is over: "" for its stream's end, None where it is not."""
        self._accept()
        if self._video is not None:
            return self._first_bytes(self._video)
        if self._clip is None or not self._clip.is_over:
            return None
        if self._clip.error is not None:
            return f"{self.folder}: {self._clip.error.strerror or self._clip.error}"
        return "the clip grew beyond all measure" if self._clip.is_full else ""

    def _accept(self) -> bool:
        try:
            connection, _ = self.listener.accept()
        except OSError:  # nobody is there, or no longer
            return False
        if not self._expects:
            self.unasked += 1
            connection.close()
            return True
        self._expects = False
        connection.setblocking(False)
        self._video = connection
        self.selector.register(connection, selectors.EVENT_READ)
        return True

    def _first_bytes(self, video: socket.socket) -> str | None:
        try:
            there = video.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            there = b""
        self._let_go(video)
        if not there:
            video.close()
            return "the camera gave no video"
        assert self._vault is not None  # as check() left it
        try:
            self._clip = Clip(self._vault, self._recipients, video, self.wake)
        except OSError as error:
            video.close()
            return f"{self.folder}: {error.strerror or error}"
        return None

    def _let_go(self, video: socket.socket) -> None:
        self.selector.unregister(video)
        self._video = None

    @property
    def waits_for_disk(self) -> bool:
        """Whether it is the disk that is waited for just now, and not the camera."""
        return self._clip is not None and (self._clip.is_writing or self._clip.first_byte_s is None)

    def cut(self) -> None:
        """Take no more video; what has come is still to be finished."""
        if self._clip is not None:
            self._clip.cut()

    def finish(self, ended: Ended) -> str:
        """End the recording now; return what went wrong with it, or nothing."""
        self._expects = False
        if self._video is not None:
            video = self._video
            self._let_go(video)
            video.close()
        clip, self._clip = self._clip, None
        if clip is None:
            return ""
        try:
            clip.finish(ended)
        except (OSError, DoorstepError) as error:
            self.close()
            return f"{self.folder}: no statement for clip {clip.number}: {getattr(error, 'strerror', None) or error}"
        return ""
