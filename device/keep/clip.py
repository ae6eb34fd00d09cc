"""One clip while it is recorded: MPEG-TS from the camera's process in, an age file and its statement out.

Rule 1: every byte that reaches the disk has gone through age; the plain stream is in memory only, and briefly.
Rule 2: what was written is synced within SYNC_EVERY_S.
Rule 3: a clip has an end, whatever the stream does: by its size, by its own end, or when it is told to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from device.keep import layout
from device.keep.statement import Ended, Statement, digest
from device.keep.vault import NEW, Vault, sync_folder

SYNC_EVERY_S = 0.5  # the promise is a second
_STATEMENT_MOST_BYTES = 64 * 1024  # the list of deleted clips is its only long part
_PACKET_MOST_BYTES = 256 * 1024  # more than a Unix socket's buffer holds, unless a taken `see` has made it larger


class Clip:
    """A clip that is being written, by a thread, out of the connection `video`, which it closes in the end.

    on_news: called from the thread at the first byte and at the end. Raise OSError where it cannot be begun.
    """

    def __init__(self, vault: Vault, recipients: list[pyrage.x25519.Recipient], video: socket.socket,
                 on_news: Callable[[], None]) -> None:
        self._vault, self._video, self._on_news = vault, video, on_news
        self.number = vault.chain.opened + 1
        self.first_byte_s: float | None = None  # time.monotonic()
        self.last_byte_s: float | None = None
        self.error: OSError | None = None  # what the disk said
        self.is_full = False  # it reached the most that a clip may take
        self.is_writing = True  # it waits for the disk just now, not for the camera
        self.synced_bytes = 0  # of the age file, known to be on the disk
        self._started = datetime.now(UTC).replace(microsecond=0)
        self._most_bytes = vault.settings.clip_most_bytes
        self._hash, self._size_bytes, self._synced_s = hashlib.sha256(), 0, time.monotonic()
        self._rest = b""  # of the last packet
        self._fd, self._statement_fd = self._create()
        video.settimeout(SYNC_EVERY_S)
        self._thread = threading.Thread(target=self._run, args=(recipients,), name="clip", daemon=True)
        self._thread.start()

    def _create(self) -> tuple[int, int]:
        """Make both files, or neither."""
        vault, paths = self._vault, [self._path(layout.clip), self._path(layout.statement, NEW)]
        fds: list[int] = []
        try:
            fds.extend(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600) for path in paths)
            # Room for the statement is taken now: a full disk shall cost the end of a clip, not what vouches for it.
            os.posix_fallocate(fds[1], 0, _STATEMENT_MOST_BYTES)
            sync_folder(vault.clips)
            # Last: a number that is written down without a clip would be missed for ever.
            vault.chain.opened = self.number
            vault.save_chain()
        except OSError:
            vault.chain.opened = self.number - 1
            for fd, path in zip(fds, paths, strict=False):
                os.close(fd)
                path.unlink(missing_ok=True)
            raise
        return fds[0], fds[1]

    def _path(self, name: Callable[[int], str], ending: str = "") -> Path:
        return self._vault.clips / (name(self.number) + ending)

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended, or the disk has."""
        return not self._thread.is_alive()

    def _run(self, recipients: list[pyrage.x25519.Recipient]) -> None:
        try:
            # Each 64 KiB chunk is sealed and handed to write() as soon as it is full.
            pyrage.encrypt_io(self, self, recipients)
            self._sync()
        except pyrage.EncryptError as error:  # of ours, pyrage keeps the text only
            self.error = self.error or OSError(str(error))
        except OSError as error:
            self.error = error
        finally:
            self._video.close()
            self._on_news()

    def read(self, size: int = -1) -> bytes:
        """Give age what has come; b"" is the end of the clip."""
        while not self.is_full:
            if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
                self._sync()
            self.is_writing = False
            try:
                data = self._rest or self._video.recv(_PACKET_MOST_BYTES)
            except TimeoutError:
                continue
            except OSError:  # the other end is gone, or we were told to end
                return b""
            finally:
                self.is_writing = True
            if data:
                self.last_byte_s = time.monotonic()
                if self.first_byte_s is None:
                    self.first_byte_s = self.last_byte_s
                    self._on_news()
            give = len(data) if size < 0 else size
            self._rest = data[give:]  # of a packet, what is not read is lost
            return data[:give]
        return b""

    def write(self, data: bytes) -> int:
        """Take what age has sealed to the disk."""
        view = memoryview(data)
        try:
            while view:
                done = os.write(self._fd, view)
                self._hash.update(view[:done])
                self._size_bytes += done
                view = view[done:]
        except OSError as error:
            self.error = error
            raise
        self.is_full = self._size_bytes >= self._most_bytes
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def _sync(self) -> None:
        self._synced_s = time.monotonic()
        if self._size_bytes > self.synced_bytes:
            size_bytes = self._size_bytes
            os.fsync(self._fd)
            self.synced_bytes = size_bytes

    def cut(self) -> None:
        """Take no more video."""
        with contextlib.suppress(OSError):  # closed already: it is over
            self._video.shutdown(socket.SHUT_RDWR)

    def finish(self, ended: Ended) -> None:
        """End it now, and say on the disk what it is. Raise OSError where no statement could be written."""
        self.cut()
        self._thread.join()
        try:
            with contextlib.suppress(OSError):  # the disk has said so in self.error
                self._sync()
            if self.error is not None or self.is_full:
                ended = Ended.STORAGE
            self._state(ended)
        finally:
            os.close(self._fd)
            os.close(self._statement_fd)

    def _state(self, ended: Ended) -> None:
        vault = self._vault
        length_s = (self.last_byte_s or 0.0) - (self.first_byte_s or 0.0)
        deleted = tuple(sorted({number for number in vault.chain.deleted if number < self.number}))
        data = Statement(
            sequence=self.number, sha256=self._hash.hexdigest(), size_bytes=self._size_bytes, started=self._started,
            length_ms=round(length_s * 1000), ended=ended, deleted=deleted,
            before=vault.chain.before,
        ).signed(vault.key)
        os.pwrite(self._statement_fd, data, 0)
        os.ftruncate(self._statement_fd, len(data))
        os.fsync(self._statement_fd)
        self._path(layout.statement, NEW).replace(self._path(layout.statement))
        sync_folder(vault.clips)
        vault.chain.deleted.clear()
        vault.chain.stated, vault.chain.before = self.number, digest(data)
        vault.save_chain()
