"""A frame: one small grey picture and what the camera knows about how it was taken.

Rule 1: a frame is luma only, small, and never leaves the process.
Rule 2: its time is the source's own; nobody downstream reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]  # shape (height, width); 0 is black; row 0 is the top
Watched = npt.NDArray[np.bool_]  # shape (height, width); False where nothing may be looked at


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of the watching stream.

    `luma` is valid only until the next frame is asked for: sources reuse their buffers, so whoever
    wants to keep it copies it.
    """

    luma: Grey
    t_s: float  # monotonic, of the source; only differences mean anything
    exposure_us: float | None = None  # libcamera ExposureTime, where known
    gain: float | None = None  # libcamera AnalogueGain x DigitalGain, where known
