"""Frigate's motion detector, written anew from how it is described in its documentation and its source.

Rule 1: its own defaults; each that decides stands below, with the name that Frigate's configuration gives it. But it
        begins as if it had seen the first frame all day; else it takes the seconds in which its contrast settles for motion.
Rule 2: each step is by the library that Frigate has it from, for its time is measured too (tests/bench/speed.py).

A picture of 100 rows, its contrast stretched to the mean of the last 50 frames' 4th and 96th percentile, blurred, is
compared with a running average; what differs is dilated, and a contour of enough area is motion. The average rests
through the first ten frames of a motion. What fills the picture makes it begin anew ("calibrating"), without motion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from device.see.frame import Grey, Watched

FRAME_HEIGHT = 100
THRESHOLD, CONTOUR_AREA = 30, 10
FRAME_ALPHA, CALIBRATING_ALPHA = 0.01, 0.2
LIGHTNING_THRESHOLD = 0.8  # of the picture
SETTLED_SHARE, SETTLED_BOXES = 0.05, 4
CONTRAST_FRAMES, REST_FRAMES = 50, 10


class Frigate:
    """One frame after the other, uint8 (height, width); says whether there is motion."""

    def __init__(self, like: Grey, watched: Watched | None = None) -> None:
        import cv2  # these two are of the bench extra; the product does not have them
        from scipy import ndimage

        self._cv2, self._blurred = cv2, ndimage.gaussian_filter
        self._size = (FRAME_HEIGHT * like.shape[1] // like.shape[0], FRAME_HEIGHT)  # width, height, as OpenCV has them
        self._masked = None if watched is None else self._small(watched.astype(np.uint8)) == 0
        self._seen = self._moving = 0
        self._calibrating = False
        first = self._small(like)
        self._contrasts = np.tile(np.percentile(first, (4, 96)).astype(np.uint8), (CONTRAST_FRAMES, 1))
        self._average = self._prepared(first).astype(np.float32)

    def _small(self, picture: Grey) -> Grey:
        small: Grey = self._cv2.resize(picture, self._size, interpolation=self._cv2.INTER_NEAREST)
        return small

    def step(self, luma: Grey) -> bool:
        """Whether something moves in the next frame; never while it is finding its average."""
        cv2, picture = self._cv2, self._prepared(self._small(luma))
        change = cv2.absdiff(picture, cv2.convertScaleAbs(self._average))
        bright = cv2.dilate(cv2.threshold(change, THRESHOLD, 255, cv2.THRESH_BINARY)[1], None, iterations=1)
        contours: Any = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]
        areas = [cv2.contourArea(contour) for contour in contours]
        boxes, share = sum(area > CONTOUR_AREA for area in areas), sum(areas) / bright.size
        if share < SETTLED_SHARE and boxes <= SETTLED_BOXES:
            self._calibrating = False
        if share > LIGHTNING_THRESHOLD:
            self._calibrating = True
        self._moving = self._moving + 1 if boxes else 0
        if not boxes or self._moving >= REST_FRAMES:
            cv2.accumulateWeighted(picture, self._average, CALIBRATING_ALPHA if self._calibrating else FRAME_ALPHA)
        return boxes > 0 and not self._calibrating

    def _prepared(self, small: Grey) -> Grey:
        picture = self._stretch(small)
        if self._masked is not None:
            picture[self._masked] = 0
        blurred: Grey = self._blurred(picture, sigma=1, radius=1)
        return blurred

    def _stretch(self, picture: Grey) -> Grey:
        low, high = (np.percentile(picture, q).astype(np.uint8) for q in (4, 96))
        if low >= high:
            return picture
        self._contrasts[self._seen % CONTRAST_FRAMES] = low, high
        self._seen += 1
        least, most = self._contrasts.mean(axis=0)
        stretched: Grey = ((np.clip(picture, least, most) - least) / (most - least) * 255).astype(np.uint8)
        return stretched
