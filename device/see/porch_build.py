"""The porch drawn once: how much of each light every pixel sends to the camera.

Rule 1: one pixel is the mean over sub-pixels, so that edges are soft as a lens makes them.
Rule 2: what hangs on the door is content: it changes no geometry and no mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from device.see.porch_lay import Strip, between, lay
from device.see.porch_place import (
    CAMERA_Y_M,
    F32,
    FOCAL_SHARE,
    FRONT,
    HORIZON_SHARE,
    LAMP,
    LEAFY,
    MATERIALS,
    NAMES,
    NONE,
    NORMALS,
    PLANTS,
    SIDE,
    SUN,
    UP,
    WALL_X_M,
    WALL_Z_M,
    Noise,
    Place,
)


def _f32(a: npt.ArrayLike) -> F32:
    return np.asarray(a, np.float32)


def _lit(s: Strip, noise: Noise) -> tuple[F32, ...]:
    """Radiance under unit ambient, sun, lamp and infrared light; albedo; sway."""
    z = s.z
    x, y = s.xd * z, CAMERA_Y_M + s.yd * z
    table = np.array(list(MATERIALS.values()), np.float32)[s.material]
    size = np.maximum(table[..., 3], 0.01)
    along = np.where(s.normal == UP, z, np.where(s.normal == SIDE, z, y))
    across = np.where(s.normal == SIDE, y, x)
    grain = noise.rough(_f32(across / size), _f32(along / size))
    broad = noise(_f32(across * 0.9 + 31), _f32(along * 0.9))
    texture = 1 + table[..., 2] * (grain + 0.4 * broad)
    sky = s.normal == NONE
    texture[sky] = 1 + 0.12 * noise.rough(s.xd[sky] * 3, s.yd[sky] * 9)
    albedo = np.clip(table[..., 0] * texture, 0.01, 3.0).astype(np.float32)
    ir_albedo = np.clip(table[..., 1] * texture, 0.01, 1.0).astype(np.float32)

    shade = np.array([1.0, 0.62, 0.6, 0.75, 1.0], np.float32)[s.normal]  # share of the sky that is seen
    shade = shade * np.where(
        (s.normal == UP) & (x < WALL_X_M + 0.2), np.clip((WALL_Z_M + 0.3 - z) / 1.2, 0.45, 1), 1
    )
    under = (s.normal == FRONT) & (z > WALL_Z_M - 0.4) & (z < 6) & between(x, -2.8, -0.75) & (y < 2.52)
    shade = shade * np.where(under, np.clip((2.6 - y) / 1.2, 0.35, 1.0), 1)

    cosine = np.clip(NORMALS[s.normal] @ np.array(SUN, np.float32), 0, 1)
    sunny = np.ones(z.shape, np.float32)
    for px, py, pz, rx, ry, _ in PLANTS:  # shadows of the leaves: where the way to the sun passes a plant
        k = (pz - z) / SUN[2]
        xs, ys = (x + k * SUN[0]) / ry, (y + k * SUN[1]) / ry
        inside = (np.hypot(xs * ry / rx - px / rx, ys - py / ry) < 1) & (k > 0.5) & (s.normal != NONE)
        sunny[inside] = np.where(
            noise.rough(xs[inside] * 2.5, ys[inside] * 2.5 + 9) < 0.45, 0.12, sunny[inside]
        )
    up_m = 0.5 / -SUN[2] * SUN[1]  # the canopy, half a metre before the wall
    sunny[under & (y + up_m > 2.52) & (y + up_m < 3.1)] = 0.0
    sun = albedo * cosine * sunny * (s.normal != NONE)

    def lamp_of(source: tuple[float, float, float], of: F32, least_m: float) -> F32:
        dx, dy, dz = source[0] - x, source[1] - y, source[2] - z
        far2 = np.maximum(dx * dx + dy * dy + dz * dz, least_m**2)
        n = NORMALS[s.normal]
        cos = np.clip((n[..., 0] * dx + n[..., 1] * dy + n[..., 2] * dz) / np.sqrt(far2), 0.0, 1)
        cos = np.where(s.normal == LEAFY, 0.6, cos)
        return np.asarray(of * cos / far2 * (s.normal != NONE), np.float32)

    lamp = lamp_of(LAMP, albedo, 0.35)
    glow = (np.abs(x - LAMP[0]) < 0.06) & (np.abs(y - LAMP[1]) < 0.11) & (z > WALL_Z_M - 0.3) & (z < WALL_Z_M)
    lamp[glow] = 8.0  # the lantern itself: saturated whenever it is on
    ir = lamp_of((0.06, CAMERA_Y_M, 0.0), ir_albedo, 0.3) * np.exp(-1.5 * (s.xd**2 + (s.yd + 0.2) ** 2))
    sway = (s.material == NAMES.index("leaves")).astype(np.float32)
    return (
        (albedo * shade).astype(np.float32),
        sun.astype(np.float32),
        lamp,
        ir.astype(np.float32),
        albedo,
        sway,
    )


def _soften(a: F32) -> F32:
    """The lens: a little of each neighbour, so that shifts by parts of a pixel come out right."""
    p = np.pad(a, 1, mode="edge")
    p = (
        0.16 * p[:-2] + 0.68 * p[1:-1] + 0.16 * p[2:]
    )  # MTF 0.36 at Nyquist, as a phone-class lens and resizer
    return np.asarray(0.16 * p[:, :-2] + 0.68 * p[:, 1:-1] + 0.16 * p[:, 2:], np.float32)


def build(width_px: int, height_px: int, seed: int) -> Place:
    """Draw the place for a picture of this size, in strips so that memory stays small."""
    noise = Noise(seed)
    sub = 3 if width_px <= 320 else 2  # sub-pixels a side; large pictures have sharp enough pixels
    focal, cx, cy = FOCAL_SHARE * height_px, width_px / 2, HORIZON_SHARE * height_px
    maps = [np.empty((height_px, width_px), np.float32) for _ in range(7)]
    normal = np.empty((height_px, width_px), np.uint8)
    xd = ((np.arange(width_px * sub, dtype=np.float32) + 0.5) / sub - cx) / focal
    step = max(1, 30_000 // (width_px * sub * sub))  # rows; 120 kB for each of some forty maps of a strip
    for top in range(0, height_px, step):
        end = min(height_px, top + step)
        yd = -((np.arange(top * sub, end * sub, dtype=np.float32) + 0.5) / sub - cy) / focal
        strip = Strip(_f32(xd[None, :]), _f32(yd[:, None]))
        lay(strip, noise)
        shape = (end - top, sub, width_px, sub)
        for out, fine in zip(maps, (*_lit(strip, noise), strip.z), strict=True):
            out[top:end] = fine.reshape(shape).mean((1, 3))
        maps[6][top:end] = strip.z[sub // 2 :: sub, sub // 2 :: sub]
        normal[top:end] = strip.normal[sub // 2 :: sub, sub // 2 :: sub]
    ambient, sun, lamp, ir, albedo, sway = (_soften(a) for a in maps[:6])
    boxes = []
    for px, py, pz, rx, ry, _ in PLANTS:
        scale = focal / pz
        left, right = cx + scale * (px - 1.4 * rx), cx + scale * (px + 1.4 * rx)
        top_row, low = cy + scale * (CAMERA_Y_M - py - 1.4 * ry), cy + scale * (CAMERA_Y_M - py + 1.4 * ry)
        rows = slice(max(0, int(top_row)), min(height_px, int(low) + 1))
        cols = slice(max(0, int(left)), min(width_px, int(right) + 1))
        if rows.start < rows.stop and cols.start < cols.stop:
            boxes.append((rows, cols))
    return Place(ambient, sun, lamp, ir, albedo, maps[6], sway, normal, focal, (cx, cy), boxes)


def hang_on_door(place: Place, content: int) -> None:
    """Hang something on the door and a number on the wall: content, with the same mean for all of them."""
    r = np.random.default_rng([content, 61])
    x, y, z = place.world()
    door = (np.abs(z - WALL_Z_M) < 0.1) & (place.normal == FRONT)
    around = np.arctan2(y - 1.68, x + 1.78) * int(r.integers(2, 6)) + float(r.uniform(0, 6.3))
    wreath = (
        door & (np.abs(np.hypot(x + 1.78, y - 1.68) - 0.15) < 0.07) & (np.sin(around) > 0)
    )  # half a ring, always
    plate = door & (np.abs(x + 0.73) < 0.1) & (np.abs(y - 1.45) < 0.09)
    digits = plate & (np.sin(x * float(r.uniform(50, 90))) * np.sin(y * float(r.uniform(40, 80)) + 1) > 0.2)
    for where, share in ((wreath, 2.2), (digits, 0.35)):
        for maps in (place.ambient, place.sun, place.lamp, place.ir, place.albedo):
            maps[where] *= np.float32(share)
