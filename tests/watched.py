"""A camera for the detector, and who walks by in front of it: numbers from a seed, and no clock but the frames'."""

from __future__ import annotations

import numpy as np

from device.messages import SeeToTell
from device.see.detector import Detector
from device.see.frame import Frame, Grey, Watched

ON, OFF = SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED
Picture = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def place(height: int = 120, width: int = 160, seed: int = 1) -> Picture:
    """A porch of sorts: patches of grey with texture, 40 to 180 levels."""
    r = np.random.default_rng(seed)
    rows, columns = -(-height // 12), -(-width // 12)
    patches = np.kron(r.uniform(40, 180, (rows, columns)), np.ones((12, 12)))[:height, :width]
    return (patches + r.normal(0, 6, (height, width))).astype(np.float32)


class Camera:
    """Frames at a steady rate, with noise; `told` collects what the detector says, with the time."""

    def __init__(self, detector: Detector, rate: float = 10.0, noise_levels: float = 1.2, seed: int = 2) -> None:
        self.detector, self.rate, self.noise_levels = detector, rate, noise_levels
        self.t_s = 0.0
        self.told: list[tuple[SeeToTell, float]] = []
        self._r = np.random.default_rng(seed)
        self._noise: list[Picture] = []

    def show(self, picture: Picture) -> tuple[SeeToTell, ...]:
        if not self._noise or self._noise[0].shape != picture.shape:
            self._noise = [self._r.standard_normal(picture.shape, np.float32) for _ in range(7 if picture.size > 1e5 else 37)]
        grain = self._noise[int(self._r.integers(len(self._noise)))] * self.noise_levels
        luma: Grey = np.clip(picture + grain, 0, 255).astype(np.uint8)
        said = self.detector.step(Frame(luma, self.t_s))
        self.told += [(message, self.t_s) for message in said]
        self.t_s += 1 / self.rate
        return said

    def watch(self, picture: Picture, seconds: float) -> Camera:
        for _ in range(round(seconds * self.rate)):
            self.show(picture)
        return self

    def walk(self, picture: Picture, seconds: float = 3.0, level: float = 20.0, tall: float = 0.4, speed: float = 0.3) -> Camera:
        """Somebody crosses at mid-height: `tall` of the height, `speed` in widths a second, `level` dark."""
        height, width = picture.shape
        body, broad = round(tall * height), max(2, round(tall * height * 0.4))
        for number in range(round(seconds * self.rate)):
            shown, left = picture.copy(), round(number / self.rate * speed * width)
            top = (height - body) // 2
            shown[top : top + body, left : left + broad] = level
            self.show(shown)
        return self

    @property
    def messages(self) -> list[SeeToTell]:
        return [message for message, _ in self.told]


def watched_by(sensitivity: int = 3, picture: Picture | None = None, rate: float = 10.0, noise_levels: float = 1.2,
               mask: Watched | None = None, seconds: float = 5.0) -> tuple[Camera, Picture]:
    """A camera that has been looking at the empty place for some seconds."""
    picture = place() if picture is None else picture
    return Camera(Detector(sensitivity, mask), rate, noise_levels).watch(picture, seconds), picture
