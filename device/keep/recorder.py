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
from device.errors import VaultError
from device.keep.clip import Clip
from device.keep.statement import Ended, fingerprint
from device.keep.vault import Vault, read_recipients


@dataclass(slots=True)
class Recorder:
    """One recording at a time.

    listener: the listening socket that the camera's process connects to. wake: called from the clip's thread.
    """

    settings: config.Recording
    folder: Path
    listener: socket.socket
    selector: selectors.BaseSelector
    wake: Callable[[], None]
    say: Callable[[str], None]
    unasked: int = 0  # connections that were closed unread
    _vault: Vault | None = None
    _recipients: list[pyrage.x25519.Recipient] = field(default_factory=list)
    _expects: bool = False
    _video: socket.socket | None = None  # connected, and not a byte has come yet
    _clip: Clip | None = None

    def __post_init__(self) -> None:
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def check(self, *, make_room: bool = False) -> None:
        """See whether a recording is possible; for one that follows, make room if the owner chose so.

        Raise VaultError where none is; then everything is looked at afresh the next time.
        """
        vault, self._vault = self._vault, None
        if not self.settings.recipients:
            raise VaultError("nobody could open a clip: no recipient is configured",
                             "doorstep key new, then put its age1... into recipients under [recording]")
        self._recipients = read_recipients(self.settings.recipients)
        if vault is None:
            vault = Vault(self.settings, self.folder)
            if vault.is_new:
                self.say("clips will be signed by a new key; note its fingerprint, for doorstep clips verify --device: "
                         + fingerprint(vault.key.public_key().public_bytes_raw()))
        if make_room:
            vault.make_room()
        else:
            vault.check()
        self._vault = vault

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
        """From now on one connection is wanted."""
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

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # nobody is there, or no longer
            connection, _ = self.listener.accept()
            if not self._expects:
                self.unasked += 1
                connection.close()
                return
            self._expects = False
            connection.setblocking(False)
            self._video = connection
            self.selector.register(connection, selectors.EVENT_READ)

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
        except OSError as error:
            self._vault = None
            return f"{self.folder}: no statement for clip {clip.number}: {error.strerror or error}"
        return ""
