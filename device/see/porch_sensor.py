"""From light to grey levels: exposure that follows with a lag, electrons with their noise, gamma.

Rule 1: noise is added in electrons before rounding, so it grows with gain and with light as a sensor's does.
Rule 2: the same seed and index give the same noise.
"""

from __future__ import annotations

from math import log2

import numpy as np

from device.see.frame import Grey
from device.see.porch_place import F32
from device.see.porch_scene import AutoExposure, Sensor

WHITE_LUX_S = 25.0  # lux seconds that fill a white pixel at gain 1: f/2, as a Pi camera
TARGET = 0.17  # mean of the linear picture the exposure aims at; libcamera aims at 0.16 to 0.2
MIN_EXPOSURE_US = 30.0
MAX_GAIN = 16.0  # IMX219 10.7 analogue, some digital on top
CODES = 4096  # 12 bits before gamma


def tone_table() -> Grey:
    """12-bit linear to 8-bit: the sRGB curve and a mild S as camera tunings have; shape (4096,)."""
    x = np.arange(CODES) / (CODES - 1)
    g = np.where(x < 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    g = g + 0.35 * (g * g * (3 - 2 * g) - g)  # contrast: real porch pictures spread 50 to 70 levels
    return np.asarray(np.clip(np.rint(255 * g), 0, 255), np.uint8)


class Exposure:
    """The camera's exposure control: exposure time first, then gain."""

    def __init__(self, how: AutoExposure, frames_per_s: float) -> None:
        self._how = how
        self._longest_us = min(how.longest_us, 0.95e6 / frames_per_s)
        self._stops = 0.0  # log2 of exposure in seconds times gain
        self._asked: list[float] = []

    def settle(self, mean_lux: float) -> None:
        """Start where this mean radiance needs it."""
        self._stops = log2(TARGET * WHITE_LUX_S / max(mean_lux, 1e-6))
        self._asked = [self._stops] * (self._how.lag_frames + 1)

    def now(self) -> tuple[float, float]:
        """Exposure in microseconds and gain for the next frame."""
        total_us = 2.0 ** self._asked[0] * 1e6
        exposure_us = min(max(total_us, MIN_EXPOSURE_US), self._longest_us)
        exposure_us = max(19.0, 19.0 * round(exposure_us / 19.0))  # whole lines of 19 us, as an IMX219's
        return exposure_us, min(max(total_us / exposure_us, 1.0), MAX_GAIN)

    def see(self, mean: float) -> None:
        """Take the mean of the linear picture (0 to 1) and ask for the next exposure."""
        if self._how.locked:
            return
        error = log2(TARGET / max(mean, 1e-4))
        stops = self._asked[-1]
        error += self._asked[0] - stops  # this picture was taken with what was asked for some frames ago
        if abs(error) > self._how.deadband_stops:
            if self._how.step_stops:
                stops += min(abs(error), self._how.step_stops) * (1 if error > 0 else -1)
            else:
                stops += self._how.speed_share * error
        longest = log2(self._longest_us * 1e-6 * MAX_GAIN)
        self._asked = [*self._asked[1:], min(max(stops, log2(MIN_EXPOSURE_US * 1e-6)), longest)]


class Imager:
    """Turns radiance into a grey frame, in buffers of its own."""

    def __init__(self, sensor: Sensor, shape: tuple[int, int], seed: int) -> None:
        self._sensor, self._seed = sensor, seed
        r = np.random.default_rng([seed, 21])
        self._pattern: F32 = 1 + np.float32(sensor.pattern_share) * r.standard_normal(shape, dtype=np.float32)
        self._z: F32 = np.zeros(shape, np.float32)
        self._sigma: F32 = np.zeros(shape, np.float32)
        self._code = np.zeros(shape, np.int16)
        self._table = tone_table()
        self.luma: Grey = np.zeros(shape, np.uint8)

    def take(self, lux: F32, exposure_us: float, gain: float, index: int) -> float:
        """Expose `lux` (changed in place) into `luma`; gives the mean of the linear picture, 0 to 1."""
        sensor = self._sensor
        np.multiply(lux, np.float32(exposure_us * 1e-6 * gain / WHITE_LUX_S), out=lux)
        np.minimum(lux, np.float32(1.5), out=lux)
        mean = float(np.minimum(lux[::2, ::2], 1).mean())
        if sensor.noise:
            np.multiply(lux, self._pattern, out=lux)
            np.maximum(lux, 0, out=lux)
            np.multiply(lux, np.float32(gain / sensor.white_e), out=self._sigma)
            np.add(self._sigma, np.float32((sensor.read_e * gain / sensor.white_e) ** 2), out=self._sigma)
            np.sqrt(self._sigma, out=self._sigma)
            noise = np.random.Generator(np.random.SFC64([self._seed, index]))
            noise.standard_normal(out=self._z, dtype=np.float32)
            np.multiply(self._z, self._sigma, out=self._z)
            np.add(lux, self._z, out=lux)
        np.multiply(lux, np.float32(CODES - 1), out=lux)
        np.clip(lux, 0, CODES - 1, out=lux)
        np.rint(lux, out=lux)
        self._code[...] = lux
        np.take(self._table, self._code, out=self.luma, mode="clip")
        return mean
