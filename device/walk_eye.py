"""The walk test's reader of frames: a thread, so that keys never wait for a camera.

Rule 1: what leaves the thread is verdicts; no frame does.
Rule 2: stopping is bounded: the thread closes its camera itself, and is not waited for longer than STOP_MOST_S.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from types import TracebackType
from typing import Self

from device.see.camera import Camera
from device.see.detector import Detector
from device.see.mask import watched
from device.walk_model import Settings, Verdict

STOP_MOST_S = 3.0  # as `see` gives its camera; a hung driver ends with the process
_WAITING_MOST = 64  # verdicts; six seconds in which nobody took any


class Eye:
    """`with Eye(camera, settings) as eye:` looks at frames; `settings` may be set at any time.

    `over` is None while frames may come, then why they ended: an exception, or EOFError at a recording's end.
    """

    def __init__(self, camera: Camera, settings: Settings) -> None:
        self._camera, self.settings = camera, settings
        self.over: BaseException | None = None
        self._verdicts: queue.Queue[Verdict] = queue.Queue(_WAITING_MOST)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="walk eye", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(STOP_MOST_S)

    def verdicts(self) -> list[Verdict]:
        """Return what has come since the last call, oldest first."""
        taken: list[Verdict] = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._verdicts.get_nowait())
        return taken

    def _run(self) -> None:
        with _Handed(self), contextlib.closing(self._camera):
            self._look()
            raise EOFError

    def _look(self) -> None:
        detector, made_of = Detector(), None
        for frame in self._camera.frames():
            if self._closing.is_set():
                return
            wanted = self.settings
            if made_of != (wanted, frame.luma.shape):
                detector = Detector(wanted.sensitivity, watched(wanted.written, *frame.luma.shape))
                made_of = wanted, frame.luma.shape
            told = detector.step(frame)
            with contextlib.suppress(queue.Full):  # the window is stuck; what is newest can wait
                self._verdicts.put_nowait(Verdict.of(detector, told, frame.t_s, time.monotonic()))


class _Handed:
    """Whatever ends the thread is handed to its owner, who prints it when the screen is put back."""

    def __init__(self, eye: Eye) -> None:
        self._eye = eye

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self._eye.over = error
        return True
