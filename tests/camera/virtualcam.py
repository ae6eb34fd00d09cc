"""A Raspberry Pi's camera for tests: real picamera2, real libcamera, and what this machine lacks stood in for.

Rule 1: a stand-in replaces only what needs hardware, and each says what that is; the rest is the real library.
Rule 2: pixels are what the test's scene says, laid out as a Pi lays them out: rows padded, chroma below the luma.
Rule 3: install() comes before anything imports picamera2, once in a process.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from device.see.camera import WATCH_HEIGHT_PX
from device.see.frame import Grey

PADDING, CHROMA = 0xEE, 0x80  # neither is luma; a test that sees one of them looks beyond its rows
ENVIRONMENT = {
    "LIBCAMERA_PIPELINES_MATCH_LIST": "virtual",  # never the webcam of whoever runs the tests
    "LIBCAMERA_LOG_LEVELS": "*:FATAL",
}
IMX219 = ((640, 480), (1640, 1232), (1920, 1080), (3280, 2464))  # Camera Module 2; the first and third are crops


def flat(n: int, width_px: int, height_px: int) -> Grey:
    """One grey all over, another in each frame."""
    return np.full((height_px, width_px), 16 + n % 200, np.uint8)


@dataclass
class Virtual:
    """What a test says of the camera, and what it gets to know."""

    scene: Callable[[int, int, int], Grey] = flat  # frame number, width, height
    metadata: dict[str, Any] = field(default_factory=dict)  # what a Pi's sensor and algorithms report
    modes_px: tuple[tuple[int, int], ...] = IMX219
    row_step_bytes: int = 64  # what rows are padded to: 64 on a Pi 4, 128 on a Pi 5
    hangs: bool = False
    frame_us: int = 33_333  # last asked for
    delivered: int = 0
    large_at_s: list[float] = field(default_factory=list)  # when a picture larger than the watched one was delivered
    configured: list[list[tuple[int, int]]] = field(default_factory=list)  # stream sizes of each configuration, ever

    def reset(self) -> None:
        """Be as new, for the next test."""
        for item, new in zip(fields(self), vars(Virtual()).values(), strict=True):
            setattr(self, item.name, new)

    def row_bytes(self, width_px: int) -> int:
        """The length of a row with its padding."""
        return -(-width_px // self.row_step_bytes) * self.row_step_bytes


def install() -> Virtual:
    """Put the stand-ins in place."""
    sys.modules["pykms"] = MagicMock()  # the display driver, which picamera2 imports for a preview that nobody opens
    _platform()
    virtual = Virtual()
    _sensor(virtual)
    _memory(virtual)
    _pixels(virtual)
    _time(virtual)
    return virtual


def _platform() -> None:
    """The board: picamera2 takes one it does not know for a Pi 4, whose encoder is hardware. A Pi 5 has libav's."""
    where = Path(str(importlib.util.find_spec("picamera2").origin)).with_name("platform.py")
    spec = importlib.util.spec_from_file_location("picamera2.platform", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._platform = module.Platform.PISP
    sys.modules["picamera2.platform"] = module


def _sensor(virtual: Virtual) -> None:
    """A sensor's modes and controls. The virtual pipeline has neither, nor raw: asking for raw is an error."""
    import libcamera
    from picamera2 import Picamera2

    Picamera2._is_rpi_camera = lambda _: True
    Picamera2._get_raw_modes = lambda _: [{"format": "SRGGB10_CSI2P", "size": size} for size in virtual.modes_px]
    camera, request = libcamera.Camera, libcamera.Request
    controls, configure, start, set_control = camera.controls, camera.configure, camera.start, request.set_control
    noise_reduction = libcamera.controls.draft.NoiseReductionMode  # with it picamera2 takes this camera for a Pi's

    def taken(key: Any, value: Any) -> bool:
        if key.name == "FrameDurationLimits":
            virtual.frame_us = value[0]
        return key.name in ("FrameDurationLimits", "NoiseReductionMode")

    def configured(self: Any, config: Any) -> Any:
        virtual.configured.append([(stream.size.width, stream.size.height) for stream in config])
        return configure(self, config)

    camera.controls = property(
        lambda self: {**controls.__get__(self), noise_reduction: SimpleNamespace(min=0, max=4, default=0)})
    camera.configure = configured
    camera.start = lambda self, given: start(self, {key: value for key, value in given.items() if not taken(key, value)})
    request.set_control = lambda self, key, value: None if taken(key, value) else set_control(self, key, value)


def _memory(virtual: Virtual) -> None:
    """The DMA heap: memory files, two planes in each, under picamera2's own allocator."""
    import libcamera
    from picamera2 import picamera2
    from picamera2.allocators import dmaallocator
    from picamera2.dma_heap import UniqueFD

    class Heap:
        def alloc(self, name: str, size_bytes: int) -> Any:
            fd = os.memfd_create(name)
            os.truncate(fd, size_bytes)
            return UniqueFD(fd)

        def close(self) -> None: ...

    class TwoPlanes:
        Plane = libcamera.FrameBuffer.Plane

        def __new__(cls, planes: list[Any]) -> Any:
            luma, chroma = planes[0], cls.Plane()
            chroma.fd, chroma.offset, chroma.length = luma.fd, luma.length * 2 // 3, luma.length // 3
            luma.length = chroma.offset
            return libcamera.FrameBuffer([luma, chroma])

    class Padded(dmaallocator.DmaAllocator):
        def allocate(self, config: Any, use: str) -> None:
            super().allocate([
                SimpleNamespace(stream=stream.stream, buffer_count=stream.buffer_count,
                                frame_size=virtual.row_bytes(stream.size.width) * stream.size.height * 3 // 2)
                for stream in config], use)

    dmaallocator.DmaHeap = Heap
    dmaallocator.libcamera = SimpleNamespace(FrameBuffer=TwoPlanes)
    dmaallocator.fcntl = SimpleNamespace(ioctl=lambda fd, *_: 0 * os.fstat(fd).st_size)  # OSError if it was closed
    picamera2.DmaAllocator = Padded


def _pixels(virtual: Virtual) -> None:
    """The ISP: YUV420 with padded rows, where the virtual pipeline knows NV12 only; and its metadata."""
    from picamera2 import picamera2

    updated, completed = picamera2.Picamera2._update_stream_config, picamera2.CompletedRequest

    def update(self: Any, stream: dict[str, Any], libcamera_stream: Any) -> None:
        asked = stream["format"]
        updated(self, stream, libcamera_stream)
        width_px, height_px = stream["size"]
        row_bytes = virtual.row_bytes(width_px)
        assert asked == "YUV420", asked
        stream.update(format=asked, stride=row_bytes, framesize=row_bytes * height_px * 3 // 2)

    class Taken(completed):
        def __init__(self, request: Any, picam2: Any) -> None:
            super().__init__(request, picam2)
            for name, stream in self.stream_map.items():
                if stream is not None:
                    width_px, height_px = self.config[name]["size"]
                    planes = np.frombuffer(picam2.allocator.mapped_buffers[request.buffers[stream]], np.uint8)
                    planes = planes.reshape(-1, self.config[name]["stride"])
                    planes[:height_px], planes[height_px:] = PADDING, CHROMA
                    planes[:height_px, :width_px] = virtual.scene(virtual.delivered, width_px, height_px)
                    if height_px > WATCH_HEIGHT_PX:
                        virtual.large_at_s.append(time.monotonic())
            virtual.delivered += 1

        def get_metadata(self) -> dict[str, Any]:
            return {**super().get_metadata(), **virtual.metadata}

    picamera2.Picamera2._update_stream_config = update
    picamera2.CompletedRequest = Taken


def _time(virtual: Virtual) -> None:
    """The shutter: the virtual pipeline fills a request at once, so it gets one in each frame's time."""
    import libcamera

    camera = libcamera.Camera
    queue, stop = camera.queue_request, camera.stop
    shutters: dict[str, _Shutter] = {}

    def queue_request(self: Any, request: Any) -> None:
        if self.id not in shutters:
            shutters[self.id] = _Shutter(virtual, lambda taken: queue(self, taken))
        shutters[self.id].add(request)

    def stopped(self: Any) -> Any:
        if self.id in shutters:
            shutters.pop(self.id).stop()
        return stop(self)

    camera.queue_request, camera.stop = queue_request, stopped


class _Shutter:
    def __init__(self, virtual: Virtual, take: Callable[[Any], None]) -> None:
        self._virtual, self._take = virtual, take
        self._waiting: deque[Any] = deque()
        self._ended, self._lock = threading.Event(), threading.Lock()
        threading.Thread(target=self._run, name="shutter", daemon=True).start()

    def add(self, request: Any) -> None:
        self._waiting.append(request)

    def stop(self) -> None:
        with self._lock:  # never while one is being taken
            self._ended.set()

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._ended.wait(next_s - time.monotonic()):
            with self._lock:
                if self._waiting and not self._virtual.hangs and not self._ended.is_set():
                    self._take(self._waiting.popleft())
            next_s = max(next_s + self._virtual.frame_us / 1e6, time.monotonic() - 0.05)  # late ones are not made up for
