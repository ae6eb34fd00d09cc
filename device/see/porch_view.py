"""The canvas of a frame: light falls on the place, and capsules with soft edges are drawn into it.

Rule 1: everything is radiance in lux times albedo until the sensor sees it.
Rule 2: whatever is drawn knows its depth, so walls and trees hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from device.see.porch_place import CAMERA_Y_M, F32, LAMP, NORMALS, SUN, Place
from device.see.porch_scene import Light

ZERO, ONE = np.float32(0), np.float32(1)
NEAREST_M = 4.6  # nothing that stands in the place is nearer and could hide anybody
Point = tuple[float, float, float]  # metres: x right, y up, z away

# lux of the sky, lux of the sun square to its rays, candela of the lamp, candela of the infrared lamp
LIGHTS: dict[Light, tuple[float, float, float, float]] = {
    Light.DAY: (12_000.0, 60_000.0, 0.0, 0.0),  # clear day
    Light.OVERCAST: (9_000.0, 0.0, 0.0, 0.0),  # grey day
    Light.DUSK: (8.0, 0.0, 40.0, 0.0),  # end of civil twilight: 3 to 10 lux
    Light.NIGHT: (0.15, 0.0, 60.0, 0.0),  # suburb at night; a 60 W-equivalent lantern: about 60 cd
    Light.IR: (0.02, 0.0, 0.0, 400.0),  # dark; a ring of LEDs, in candela as the sensor would feel them
}


@dataclass(slots=True)
class Lights:
    """The light of one frame; effects change it."""

    ambient_lx: float
    sun_lx: float
    lamp_cd: float
    ir_cd: float
    sun_share: F32 | None = None  # clouds: share of the sun that arrives, shape (height, width)
    lamp_share: F32 | None = None  # mains flicker: share for each row, shape (height, 1)
    extra_lx: F32 | None = None  # headlights: light times cosine, shape (height, width)


class Spot(NamedTuple):
    """Where a capsule landed: its box, cover (0 to 1), coordinates across (-1 to 1) and along (0 to 1)."""

    box: tuple[slice, slice]
    cover: F32
    across: F32
    along: F32


class View:
    """One frame in the making, and how to draw into it."""

    def __init__(self, place: Place, light: Light, frames_per_s: float) -> None:
        self.place = place
        self.base = LIGHTS[light]
        self.rows, self.cols = place.depth_m.shape
        self.frames_per_s = frames_per_s
        self.lin: F32 = np.zeros((self.rows, self.cols), np.float32)
        self.lights = Lights(*self.base)
        self.t_s = 0.0
        self.exposure_us = 1000.0
        self.shift_px = (0.0, 0.0)  # columns, rows: the mount shakes
        self.measuring = False  # True: covers are counted in `touched`, nothing is drawn
        self.touched_px = 0.0
        self._col = np.arange(self.cols, dtype=np.float32)[None, :] + np.float32(0.5)
        self._row = np.arange(self.rows, dtype=np.float32)[:, None] + np.float32(0.5)
        self._work: F32 = np.empty_like(self.lin)

    def light_up(self) -> None:
        """Fill `lin` with the place under this frame's lights."""
        place, lights, lin, work = self.place, self.lights, self.lin, self._work
        np.multiply(place.ambient, np.float32(lights.ambient_lx), out=lin)
        if lights.sun_lx:
            np.multiply(place.sun, np.float32(lights.sun_lx), out=work)
            if lights.sun_share is not None:
                np.multiply(work, lights.sun_share, out=work)
            np.add(lin, work, out=lin)
        if lights.lamp_cd:
            np.multiply(place.lamp, np.float32(lights.lamp_cd), out=work)
            if lights.lamp_share is not None:
                np.multiply(work, lights.lamp_share, out=work)
            np.add(lin, work, out=lin)
        if lights.ir_cd:
            np.multiply(place.ir, np.float32(lights.ir_cd), out=work)
            np.add(lin, work, out=lin)
        if lights.extra_lx is not None:
            np.multiply(place.albedo, lights.extra_lx, out=work)
            np.add(lin, work, out=lin)

    def project(self, point: Point) -> tuple[float, float, float]:
        """Column, row, and pixels for a metre, of a point; z is kept 0.15 m before the lens."""
        scale = self.place.focal_px / max(point[2], 0.15)
        return (
            self.place.centre_px[0] + scale * point[0] + self.shift_px[0],
            self.place.centre_px[1] + scale * (CAMERA_Y_M - point[1]) + self.shift_px[1],
            scale,
        )

    def capsule(self, a: Point, b: Point, ra_m: float, rb_m: float, soft_px: float = 1.0) -> Spot | None:
        """The pixels of a limb from a to b with these radii; None where none are in view."""
        ca, wa, sa = self.project(a)
        cb, wb, sb = self.project(b)
        spot = self.strip((ca, wa), (cb, wb), ra_m * sa, rb_m * sb, soft_px)
        if spot is None:
            return None
        z = min(a[2], b[2])
        if z > NEAREST_M:
            np.multiply(spot.cover, self.place.depth_m[spot.box] > z - 0.25, out=spot.cover)
        return spot

    def strip(
        self, a: tuple[float, float], b: tuple[float, float], ra: float, rb: float, soft_px: float = 1.0
    ) -> Spot | None:
        """As `capsule`, in pixels (column, row) and in front of everything."""
        pad = max(ra, rb) + soft_px
        left, right = max(0, int(min(a[0], b[0]) - pad)), min(self.cols, int(max(a[0], b[0]) + pad) + 1)
        top, low = max(0, int(min(a[1], b[1]) - pad)), min(self.rows, int(max(a[1], b[1]) + pad) + 1)
        if left >= right or top >= low:
            return None
        x = self._col[:, left:right] - np.float32(a[0])
        y = self._row[top:low] - np.float32(a[1])
        dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
        long2 = dx * dx + dy * dy + np.float32(1e-6)
        along = np.minimum(np.maximum((x * dx + y * dy) / long2, ZERO), ONE)  # np.clip is three times as slow
        side = (x * dy - y * dx) / np.sqrt(long2)
        px, py = x - along * dx, y - along * dy
        radius = np.float32(ra) + along * np.float32(rb - ra)
        cover = (radius - np.sqrt(px * px + py * py)) / np.float32(soft_px) + np.float32(0.5)
        cover = np.minimum(np.maximum(cover, ZERO), ONE)
        across = np.minimum(np.maximum(side / np.maximum(radius, np.float32(0.3)), -ONE), ONE)
        return Spot(
            (slice(top, low), slice(left, right)),
            np.asarray(cover, np.float32),
            across,
            np.asarray(along, np.float32),
        )

    def paint(self, spot: Spot | None, radiance: F32 | float) -> None:
        """Lay radiance over what is there, by cover."""
        if spot is None:
            return
        if self.measuring:
            self.touched_px += float(spot.cover.sum())
            return
        there = self.lin[spot.box]
        there += (radiance - there) * spot.cover

    def darken(self, box: tuple[slice, slice], cover: F32, ambient_share: float, direct: bool) -> None:
        """Take away light: a share of the sky's, and the sun's where `direct`."""
        if self.measuring:
            self.touched_px += float(cover.sum()) * 0.2  # a shadow is fainter than a body
            return
        before = self.lin[box].copy()
        if ambient_share:
            self.lin[box] -= (
                self.place.ambient[box] * np.float32(self.lights.ambient_lx * ambient_share) * cover
            )
        if direct and self.lights.sun_lx:
            lost = self.place.sun[box] * np.float32(self.lights.sun_lx * 0.97) * cover
            if self.lights.sun_share is not None:
                lost *= self.lights.sun_share[box]
            self.lin[box] -= lost
        # two shadows on one another take the sun away once
        least = np.minimum(before, self.place.ambient[box] * np.float32(0.4 * self.lights.ambient_lx))
        np.maximum(self.lin[box], least, out=self.lin[box])

    def light_at(self, point: Point) -> tuple[float, float, float, float, float]:
        """Lux at a point standing in the scene: ambient, sun, lamp, infrared, headlights."""
        lights, place = self.lights, self.place
        col, row, _ = self.project((point[0], 0.02, point[2]))
        i, j = min(max(int(row), 0), self.rows - 1), min(max(int(col), 0), self.cols - 1)
        sun = lights.sun_lx
        if sun:
            if lights.sun_share is not None:
                sun *= float(lights.sun_share[i, j])
            if point[2] > 2.6 and place.normal[i, j] == 0:  # in the shade of a tree as the ground there is
                sun *= min(
                    1.0, float(place.sun[i, j] / max(place.albedo[i, j] * NORMALS[0] @ np.array(SUN), 1e-3))
                )
        lamp = lights.lamp_cd / max(sum((a - b) ** 2 for a, b in zip(point, LAMP, strict=True)), 0.15)
        if lights.lamp_share is not None:
            lamp *= float(lights.lamp_share[i, 0])
        ir = lights.ir_cd / max(point[0] ** 2 + (point[1] - CAMERA_Y_M) ** 2 + point[2] ** 2, 0.05)
        ir *= float(np.exp(-1.5 * (point[0] ** 2 + (point[1] - CAMERA_Y_M) ** 2) / max(point[2], 0.2) ** 2))
        extra = float(lights.extra_lx[i, j]) if lights.extra_lx is not None else 0.0
        return lights.ambient_lx, sun, lamp, ir, extra
