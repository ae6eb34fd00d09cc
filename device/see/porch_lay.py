"""What stands where on the porch: ground, street, neighbour, plants, and the house with its door.

Rule 1: of all surfaces on the way of a ray the nearest is seen.
Rule 2: sizes are in metres, as doors, paths and streets have them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from device.see.porch_place import (
    CAMERA_Y_M,
    F32,
    FRONT,
    LAMP,
    LEAFY,
    NAMES,
    NONE,
    PLANTS,
    SIDE,
    SKY_M,
    UP,
    WALL_X_M,
    WALL_Z_M,
    Noise,
)


class Strip:
    """Sub-pixels of some rows, and the nearest surface found at each so far."""

    def __init__(self, xd: F32, yd: F32) -> None:
        self.xd, self.yd = np.broadcast_arrays(xd, yd)
        shape = self.xd.shape
        self.z = np.full(shape, SKY_M, np.float32)
        self.material = np.zeros(shape, np.uint8)
        self.normal = np.full(shape, NONE, np.uint8)

    def at(self, z_m: float) -> tuple[F32, F32]:
        """X and y where the rays pass the plane at z."""
        return self.xd * np.float32(z_m), CAMERA_Y_M + self.yd * np.float32(z_m)

    def put(self, where: npt.NDArray[np.bool_], z: F32 | float, material: str, normal: int) -> None:
        """Where the new surface is the nearest, it is what is seen."""
        hit = where & (np.asarray(z) <= self.z)
        self.z[hit] = np.broadcast_to(np.asarray(z, np.float32), self.z.shape)[hit]
        self.material[hit] = NAMES.index(material)
        self.normal[hit] = normal


def between(a: F32, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Where low <= a < high."""
    return np.asarray((a >= low) & (a < high))


def lay(s: Strip, noise: Noise) -> None:
    """Ground, street, neighbour, hedge, plants, house: the geometry of the place."""
    x, y = s.at(30.0)
    s.put(between(x, 4.5, 13.5) & (y < 4.2), 30.0, "plaster", FRONT)
    s.put((y >= 4.2) & (y < 7.0 - 0.5 * np.abs(x - 9)) & between(x, 3.8, 14.2), 29.9, "roof", FRONT)
    for left in (5.6, 8.4, 11.2):
        s.put(between(x, left, left + 1.1) & between(y, 1.6, 3.0), 29.8, "glass", FRONT)
    x, y = s.at(24.0)
    s.put(y < 1.5 + 0.25 * noise(x, y * 0.2), 24.0, "hedge", LEAFY)
    with np.errstate(divide="ignore"):
        z = np.where(s.yd < -1e-3, -CAMERA_Y_M / np.minimum(s.yd, -1e-3), SKY_M).astype(np.float32)
    x = s.xd * z
    ground = z < SKY_M
    s.put(ground, z, "grass", UP)
    s.put(ground & between(z, 16.0, 22.0), z, "street", UP)
    s.put(ground & (between(z, 13.6, 15.7) | between(z, 22.2, 23.6)), z, "pavement", UP)
    s.put(ground & between(z, 15.7, 16.0), z, "white", UP)
    middle = 0.35 + 0.14 * (z - 4.5) + 0.25 * np.sin(z * 0.5)
    s.put(ground & (np.abs(x - middle) < 0.72) & between(z, 4.9, 13.6), z, "path", UP)
    s.put(ground & (z < 5.3) & (x < 1.28), z, "slab", UP)
    s.put(ground & between(x, -2.2, -1.3) & between(z, 4.35, 4.95), z, "mat", UP)
    for px, py, pz, rx, ry, trunk in PLANTS:
        x, y = s.at(pz)
        away = np.hypot((x - px) / rx, (y - py) / ry)
        near = away < 1.4
        xn, yn = x[near] / ry, y[near] / ry
        leaves = np.zeros(x.shape, np.bool_)
        leaves[near] = (away[near] < 1.0 + 0.35 * noise.rough(xn * 1.4 + px, yn * 1.4)) & (
            noise.rough(xn * 2.5, yn * 2.5 + 9) < 0.52
        )
        if trunk:
            s.put((np.abs(x - px - 0.1 * (y - py)) < trunk / 2) & between(y, 0, py), pz, "trunk", FRONT)
        s.put(leaves, pz - 0.01, "leaves", LEAFY)
    with np.errstate(divide="ignore"):
        z = np.where(s.xd < -1e-3, WALL_X_M / np.minimum(s.xd, -1e-3), SKY_M).astype(np.float32)
    s.put((z > WALL_Z_M) & (z < 11.0), z, "brick", SIDE)
    _house(s)


def _house(s: Strip) -> None:
    """The front with the door in its frame, step, canopy, window, lantern and number."""
    wall = WALL_Z_M
    x, y = s.at(wall)
    front = x < WALL_X_M
    course = np.floor(y / 0.15)
    joint = (np.mod(y, 0.15) < 0.022) | (np.mod(x + 0.15 * np.mod(course, 2), 0.30) < 0.022)
    s.put(front, wall, "brick", FRONT)
    s.put(front & joint, wall, "mortar", FRONT)
    s.put(front & (x > WALL_X_M - 0.10), wall, "white", FRONT)
    s.put(between(x, -2.45, -1.10) & between(y, 0.15, 2.40), wall - 0.03, "white", FRONT)
    s.put(between(x, -2.33, -1.22) & between(y, 0.15, 2.28), wall - 0.03, "door", FRONT)
    for left in (-2.20, -1.70):  # two panes above, two panels below
        s.put(between(x, left, left + 0.36) & between(y, 1.50, 2.10), wall - 0.03, "glass", FRONT)
        frame = between(x, left, left + 0.36) & between(y, 0.35, 1.20)
        inner = between(x, left + 0.05, left + 0.31) & between(y, 0.40, 1.15)
        s.put(frame & ~inner, wall - 0.03, "trunk", FRONT)
    s.put(np.hypot(x + 1.31, y - 1.15) < 0.06, wall - 0.04, "white", FRONT)
    s.put(between(x, -2.60, -0.95) & between(y, 0.0, 0.15), wall - 0.35, "slab", FRONT)
    s.put(between(x, -2.75, -0.80) & (y > 2.52) & (y < 2.68), wall - 0.5, "white", FRONT)
    s.put(
        between(x, -2.75, -0.80) & (y >= 2.68) & (y < 3.25 - 0.55 * np.abs(x + 1.77)),
        wall - 0.5,
        "roof",
        FRONT,
    )
    s.put(between(x, -4.9, -3.1) & between(y, 0.9, 2.3), wall - 0.01, "white", FRONT)
    for left in (-4.8, -3.95):
        s.put(between(x, left, left + 0.75) & between(y, 1.0, 2.2), wall - 0.02, "glass", FRONT)
    s.put(between(x, -0.84, -0.62) & between(y, 1.35, 1.55), wall - 0.02, "white", FRONT)
    s.put((np.abs(x - LAMP[0]) < 0.07) & (np.abs(y - LAMP[1]) < 0.13), wall - 0.2, "white", FRONT)
    x, y = s.at(4.95)
    s.put((np.abs(x + 3.0) < 0.20) & between(y, 0.0, 0.42), 4.95, "roof", FRONT)
