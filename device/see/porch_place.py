"""The porch's measures and materials, and the maps that drawing it once leaves behind.

Rule 1: geometry is in metres (x right, y up, z away from the camera) and the same for every content.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

CAMERA_Y_M = 1.8  # on a porch post, a little above the eyes of most visitors
FOCAL_SHARE = 0.96  # of the height: 64 degrees upright, 80 across 4:3, a usual door camera
HORIZON_SHARE = 0.30  # of the height: the camera looks slightly down
WALL_Z_M, WALL_X_M = 5.2, -0.5  # the house front, and its corner
SUN = (0.62, 0.62, -0.48)  # unit vector to the sun: behind the camera, to the right
LAMP = (-0.95, 1.95, WALL_Z_M - 0.25)  # beside the door
SKY_M = 500.0  # depth that stands for the sky

# material: albedo in daylight, albedo in near infrared, texture as a share of it, texture size in metres.
# Leaves, grass and cloth are bright in near infrared; asphalt, glass and sky are dark.
MATERIALS: dict[str, tuple[float, float, float, float]] = {
    "sky": (2.20, 0.02, 0.06, 0.0),
    "grass": (0.13, 0.45, 0.55, 0.11),
    "path": (0.34, 0.36, 0.22, 0.30),
    "slab": (0.40, 0.42, 0.12, 0.25),
    "street": (0.12, 0.10, 0.20, 0.40),
    "pavement": (0.30, 0.30, 0.15, 0.40),
    "brick": (0.30, 0.42, 0.25, 0.07),
    "mortar": (0.45, 0.48, 0.10, 0.07),
    "door": (0.10, 0.22, 0.10, 0.03),
    "white": (0.72, 0.70, 0.04, 0.10),
    "glass": (0.06, 0.04, 0.60, 0.40),
    "hedge": (0.07, 0.42, 0.70, 0.25),
    "leaves": (0.09, 0.50, 0.75, 0.22),
    "trunk": (0.10, 0.25, 0.40, 0.08),
    "plaster": (0.50, 0.50, 0.08, 0.60),
    "roof": (0.16, 0.18, 0.25, 0.30),
    "mat": (0.08, 0.15, 0.40, 0.03),
}
NAMES = tuple(MATERIALS)
NORMALS = np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0], [0.2, 0.6, -0.6], [0, 0, 0]], np.float32)
UP, FRONT, SIDE, LEAFY, NONE = range(5)

# x, centre y, z, radius across, radius upright, trunk width in metres
PLANTS = (
    (6.2, 4.6, 11.5, 2.7, 2.1, 0.34),
    (3.3, 5.2, 26.0, 3.4, 2.8, 0.5),
    (3.9, 0.55, 7.4, 0.85, 0.65, 0.0),
    (12.5, 5.0, 24.0, 3.0, 2.8, 0.5),
    (-3.0, 0.75, 4.95, 0.33, 0.42, 0.0),
    (2.7, 0.4, 9.5, 0.6, 0.45, 0.0),
)


@dataclass(slots=True)
class Place:
    """The static maps, each float32 of shape (height, width): radiance under one unit of each light."""

    ambient: F32
    sun: F32
    lamp: F32
    ir: F32
    albedo: F32
    depth_m: F32
    sway: F32  # 0 where nothing sways, 1 where leaves are
    normal: npt.NDArray[np.uint8]  # index into NORMALS
    focal_px: float
    centre_px: tuple[float, float]  # column, row of the optical axis
    boxes: list[tuple[slice, slice]] = field(default_factory=list)  # where leaves are

    def world(self) -> tuple[F32, F32, F32]:
        """Where each pixel's surface is, in metres: x, y, z."""
        rows, cols = self.depth_m.shape
        x = (
            (np.arange(cols, dtype=np.float32)[None, :] + 0.5 - self.centre_px[0])
            / self.focal_px
            * self.depth_m
        )
        y = (
            CAMERA_Y_M
            - (np.arange(rows, dtype=np.float32)[:, None] + 0.5 - self.centre_px[1])
            / (self.focal_px)
            * self.depth_m
        )
        return x.astype(np.float32), y.astype(np.float32), self.depth_m


class Noise:
    """Smooth random texture over a plane, from -1 to 1, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._table = np.random.default_rng(seed).uniform(-1, 1, (256, 256)).astype(np.float32)

    def __call__(self, u: F32, v: F32) -> F32:
        """One octave with cells of size 1."""
        i, j = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
        a, b = (u - i).astype(np.float32), (v - j).astype(np.float32)
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        table, i0, j0, i1, j1 = self._table, i & 255, j & 255, (i + 1) & 255, (j + 1) & 255
        top = table[i0, j0] * (1 - a) + table[i1, j0] * a
        return np.asarray(top * (1 - b) + (table[i0, j1] * (1 - a) + table[i1, j1] * a) * b, np.float32)

    def rough(self, u: F32, v: F32) -> F32:
        """Three octaves: what leaves, grass and stone look like."""
        return np.asarray(
            0.55 * self(u, v) + 0.3 * self(u * 2.3 + 7, v * 2.3) + 0.25 * self(u * 5.1, v * 5.1 + 3)
        )
