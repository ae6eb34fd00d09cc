"""The detectors that look at frames in memory: ours, OpenCV's two as DVR-Scan uses them, picamera2's, Frigate's.

Rule 1: each gets the same frames, 160 wide and grey, at the product's pace, and the same zone.
Rule 2: a peer keeps its authors' settings; what differs from them stands in GIVEN, which is printed with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from device.messages import SeeToTell
from device.see.detector import Detector
from device.see.frame import Frame, Grey, Watched
from tests.bench.detector_score import Span
from tests.bench.peer_frigate import Frigate

OURS, MOG2, KNN, PICAMERA2 = "Doorstep", "OpenCV MOG2", "OpenCV KNN", "picamera2 example"
FRIGATE, DVR_SCAN, MOTION = "Frigate's motion", "DVR-Scan", "Motion"

GIVEN = {
    OURS: "grey frames 160 wide, default sensitivity",
    MOG2: "the same frames; DVR-Scan's default settings, around OpenCV's subtractor",
    KNN: "the same frames; as MOG2, with OpenCV's defaults for KNN",
    PICAMERA2: "the same frames; mean squared difference above 7, held for 2 s, computed without its uint8 wrap",
    FRIGATE: "the same frames; its motion detector alone, with its defaults, held for 2 s, and its objects not asked for",
    DVR_SCAN: "video files of the scenes drawn 320 wide; its defaults, but events are not dated back (-tb 0s)",
    MOTION: "the files of DVR-Scan, in real time; Debian's defaults (enlarged to 640 wide, threshold 1500), but event_gap 2",
}

Step = Callable[[Grey, float], bool]  # the next frame and its time in seconds; whether an alert is on

# DVR-Scan 1.8 (dvr_scan/config.py, scanner.py): the mask is 0 or 255, its mean is compared with 0.15; so the share of
# the frame that is enough is 0.15 / 255.
THRESHOLD_LEVELS = 0.15
KERNEL_PX = ((1920, 7), (1280, 5), (0, 3))  # least width of a frame, and the opening's size
MIN_EVENT_S, POST_EVENT_S = 0.1, 2.0
MSE_LEVELS2, HOLD_S = 7.0, 2.0  # picamera2's examples/capture_motion.py


def peers(like: Grey, frames_per_s: float, watched: Watched | None) -> dict[str, Step]:
    """Fresh ones, for a sequence of frames like that."""
    import cv2  # of the bench extra; the product does not have it

    cv2.setNumThreads(1)
    mog2 = cv2.createBackgroundSubtractorMOG2(history=500, varThreshold=16.0, detectShadows=False)
    mog2.setShadowValue(0)
    knn = cv2.createBackgroundSubtractorKNN(detectShadows=False)
    return {
        OURS: _ours(watched),
        MOG2: _as_dvr_scan(mog2, like, frames_per_s, watched),
        KNN: _as_dvr_scan(knn, like, frames_per_s, watched),
        PICAMERA2: _picamera2(watched),
        FRIGATE: _frigate(like, watched),
    }


def alerts(step: Step, frames: Iterable[tuple[int, float, Grey]], end: int) -> list[Span]:
    """Return when alerts were on, in stored frame numbers; one that is on at last lasts to `end`."""
    out: list[Span] = []
    began: int | None = None
    for number, t_s, luma in frames:
        is_on = step(luma, t_s)
        if is_on and began is None:
            began = number
        elif not is_on and began is not None:
            out.append((began, number))
            began = None
    return out if began is None else [*out, (began, end)]


def _ours(watched: Watched | None) -> Step:
    detector, is_on = Detector(watched=watched), False

    def step(luma: Grey, t_s: float) -> bool:
        nonlocal is_on
        for message in detector.step(Frame(luma, t_s)):
            if message is SeeToTell.MOTION_STARTED:
                is_on = True
            elif message is SeeToTell.MOTION_ENDED:
                is_on = False
        return is_on

    return step


def _as_dvr_scan(subtractor: Any, like: Grey, frames_per_s: float, watched: Watched | None) -> Step:
    """DVR-Scan's scanner around a subtractor: opening, mean of the mask, least and post event lengths."""
    import cv2

    size_px = next(size for least, size in KERNEL_PX if like.shape[1] >= least)
    kernel = np.ones((size_px, size_px), np.uint8)
    least, after = max(1, round(MIN_EVENT_S * frames_per_s)), round(POST_EVENT_S * frames_per_s)
    above, below, is_on, first = 0, 0, False, True

    def step(luma: Grey, t_s: float) -> bool:
        nonlocal above, below, is_on, first
        mask = cv2.morphologyEx(subtractor.apply(_seen(luma, watched)), cv2.MORPH_OPEN, kernel)
        moves = bool((mask if watched is None else mask[watched]).mean() >= THRESHOLD_LEVELS) and not first
        above, below, first = (above + 1, 0, False) if moves else (0, below + 1, False)
        is_on = below < after if is_on else above >= least
        return is_on

    return step


def _frigate(like: Grey, watched: Watched | None) -> Step:
    detector, moved_s = Frigate(like, watched), -HOLD_S

    def step(luma: Grey, t_s: float) -> bool:
        nonlocal moved_s
        if detector.step(_seen(luma, watched)):
            moved_s = t_s
        return t_s - moved_s < HOLD_S

    return step


def _picamera2(watched: Watched | None) -> Step:
    previous: Grey | None = None
    moved_s, is_on = 0.0, False

    def step(luma: Grey, t_s: float) -> bool:
        nonlocal previous, moved_s, is_on
        seen = _seen(luma, watched)
        if previous is not None:
            difference = np.subtract(seen, previous, dtype=np.float32)
            if float(np.square(difference).mean()) > MSE_LEVELS2:
                moved_s, is_on = t_s, True
            elif t_s - moved_s > HOLD_S:
                is_on = False
        previous = seen
        return is_on

    return step


def _seen(luma: Grey, watched: Watched | None) -> Grey:
    """Black outside the zone, as the product's own detector has it."""
    return luma if watched is None else np.where(watched, luma, 0).astype(np.uint8)
