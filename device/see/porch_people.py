"""A visitor is painted limb by limb, with light, cloth, face and shadow.

Rule 1: a coat's pattern has mean zero and the same contrast for every content.
"""

from __future__ import annotations

from math import cos, hypot, sin

import numpy as np

from device.see.porch_body import Body, Look, Pose, joints
from device.see.porch_place import F32, LAMP, SUN, WALL_Z_M
from device.see.porch_view import Point, Spot, View

PATTERN_SHARE = 0.28  # contrast of a coat's pattern about its mean: visible near, gone far off
SMALL_PX_PER_M = 18.0  # farther off than this, hands and shoes are below a pixel
IR_CLOTH = 0.30  # dyed cloth reflects infrared well whatever its colour


# from joint, to joint, radius at each in metres, painted with
LIMBS: tuple[tuple[str, str, float, float, str], ...] = (
    ("hipl", "kneel", 0.098, 0.068, "trousers"),
    ("kneel", "anklel", 0.068, 0.052, "trousers"),
    ("anklel", "toel", 0.048, 0.036, "shoe"),
    ("hipr", "kneer", 0.098, 0.068, "trousers"),
    ("kneer", "ankler", 0.068, 0.052, "trousers"),
    ("ankler", "toer", 0.048, 0.036, "shoe"),
    ("shoulderl", "elbowl", 0.062, 0.052, "coat"),
    ("elbowl", "handl", 0.052, 0.042, "coat"),
    ("handl", "handl", 0.045, 0.045, "skin"),
    ("shoulderr", "elbowr", 0.062, 0.052, "coat"),
    ("elbowr", "handr", 0.052, 0.042, "coat"),
    ("handr", "handr", 0.045, 0.045, "skin"),
    ("pelvis", "waist", 0.175, 0.165, "coat"),
    ("waist", "chest", 0.165, 0.195, "coat"),
    ("neck", "head", 0.055, 0.055, "skin"),
    ("head", "crown", 0.098, 0.102, "head"),
)
SHADOW: tuple[tuple[str, str, float, float], ...] = (
    ("hipl", "anklel", 0.09, 0.055),
    ("hipr", "ankler", 0.09, 0.055),
    ("pelvis", "chest", 0.17, 0.19),
    ("neck", "crown", 0.08, 0.10),
    ("elbowr", "handr", 0.06, 0.05),
)


def _cloth(look: Look, spot: Spot, mean: float, radius_px: float) -> F32 | float:
    """The coat's albedo with its pattern, which fades where it is finer than pixels."""
    if look.pattern == 0 or radius_px < 2:
        return mean
    phase = {
        1: spot.along * look.count * 3.1,
        2: spot.across * look.count * 1.6,
        3: (spot.along + spot.across) * look.count * 2.2,
        4: (spot.along - 0.5) * 3.0,
    }[look.pattern]
    return np.asarray(mean * (1 + PATTERN_SHARE * min(1.0, (radius_px - 2) / 4) * np.sin(phase)), np.float32)


def _head(
    look: Look, spot: Spot, pose: Pose, radius_px: float, skin: float, hair: float
) -> F32 | float:
    """Skin before, hair behind, eyes and mouth, on a ball that turns with the heading."""
    if radius_px < 1.2:
        return 0.5 * (skin + hair)
    u, v = -spot.across, 2.0 * spot.along - 1.0  # v: 1 is the crown
    deep = np.sqrt(np.clip(1.0 - u * u, 0, 1))
    front = -u * np.float32(sin(pose.heading)) - deep * np.float32(cos(pose.heading))
    turned = -u * np.float32(cos(pose.heading)) + deep * np.float32(sin(pose.heading))
    face = np.clip((front - 0.15) * radius_px * 0.6 + 0.5, 0, 1) * np.clip(
        (0.5 + look.hairline - v) * radius_px * 0.6, 0, 1
    )
    out = hair + (skin - hair) * face
    for side in (-1, 1):
        eye = (
            np.hypot((np.abs(turned) - look.eyes), (v + 0.15) * 0.8)
            if side > 0
            else np.hypot(turned * 0.5, (v + 0.9 - look.mouth * 0.3) * 1.6)
        )
        out = out * (1 - 0.6 * np.clip((0.16 - eye) * radius_px + 0.5, 0, 1) * (front > 0))
    return np.asarray(out, np.float32)


def draw(view: View, body: Body, look: Look, pose: Pose) -> float:
    """Draw shadow and body; gives the covered pixels when the view only measures."""
    before = view.touched_px
    points = joints(body, pose)
    _shade_ground(view, points, pose)
    ambient, sun, lamp, ir, extra = view.light_at((pose.x_m, 1.1, pose.z_m))
    scale = view.place.focal_px / max(pose.z_m, 0.3)
    soft = 1.0 + pose.speed_m_per_s * view.exposure_us * 1e-6 * scale * 0.7  # motion blur, mean over headings
    # light as the body meets it: direction in the picture (column, row) and towards the camera
    to_lamp = (LAMP[0] - pose.x_m, LAMP[1] - 1.2, LAMP[2] - pose.z_m)
    far = max(hypot(*to_lamp), 0.2)
    rays = [
        (sun, SUN[0], -SUN[1], -SUN[2]),
        (lamp, to_lamp[0] / far, -to_lamp[1] / far, -to_lamp[2] / far),
        (ir, 0.0, 0.0, 1.0),
        (extra, 0.3, 0.0, 0.9),
    ]
    rays = [ray for ray in rays if ray[0] > 0]
    beams = np.float32(sum(ray[0] for ray in rays))
    infra = ir > 0
    albedo = {
        "coat": body.coat,
        "trousers": body.trousers,
        "shoe": 0.05,
        "skin": body.skin,
        "hair": body.hair,
    }
    if infra:
        albedo = {name: IR_CLOTH + 0.5 * value for name, value in albedo.items()}
    k = body.height_m / 1.75
    wide = hypot(cos(pose.heading) * 1.0, sin(pose.heading) * 0.66)  # a torso is two thirds as deep as wide
    for a, b, ra, rb, paint in sorted(LIMBS, key=lambda limb: -points[limb[0]][2] - points[limb[1]][2]):
        if scale < SMALL_PX_PER_M and (paint in ("shoe", "skin")):
            continue
        if paint == "coat" and a in ("pelvis", "waist"):
            ra, rb = ra * wide * body.width, rb * wide * body.width
        spot = view.capsule(points[a], points[b], ra * k, rb * k, soft)
        if spot is None:
            continue
        if view.measuring:
            view.paint(spot, 0.0)
            continue
        ca, wa, _ = view.project(points[a])
        cb, wb, _ = view.project(points[b])
        long = max(hypot(cb - ca, wb - wa), 1e-3)
        nx, ny = (wb - wa) / long, -(cb - ca) / long  # across = +1 lies in this direction of the picture
        round_ = np.sqrt(1 - 0.75 * spot.across * spot.across)  # cloth has no dark rim
        sideways = np.float32(sum(lux * (nx * lx + ny * ly) for lux, lx, ly, _ in rays))
        towards = np.float32(sum(lux * lz for lux, _, _, lz in rays))
        direct = np.maximum(spot.across * sideways + round_ * towards, np.float32(0.03) * beams)
        light = direct + np.float32(ambient) * (np.float32(0.45) + np.float32(0.3) * round_)
        radius_px = max(ra, rb) * k * scale
        if paint == "coat":
            cloth = _cloth(look, spot, albedo["coat"], radius_px)
        elif paint == "head":
            cloth = _head(look, spot, pose, radius_px, albedo["skin"], albedo["hair"])
        else:
            cloth = albedo[paint]
        view.paint(spot, light * cloth)
    if pose.bag:
        draw_bag(view, (points["handr"][0], max(0.02, points["handr"][1] - 0.42), points["handr"][2] - 0.02))
    return view.touched_px - before


def draw_bag(view: View, at: Point, albedo: float = 0.5) -> None:
    """A carrier bag or parcel, 0.3 m wide, standing on or hanging over `at`."""
    x, y, z = at
    spot = view.capsule((x, y + 0.12, z), (x, y + 0.26, z), 0.15, 0.13)
    if spot is not None:
        ambient, sun, lamp, ir, extra = view.light_at((x, 0.3, z))
        view.paint(
            spot, (albedo * (0.6 * ambient + 0.45 * sun + 0.5 * lamp + ir + extra)) * (1 - 0.25 * spot.across)
        )


def _shade_ground(view: View, points: dict[str, Point], pose: Pose) -> None:
    """The sun's shadow on ground and house front, and the dark contact under the feet."""
    foot = view.capsule(
        (pose.x_m - 0.12, 0.0, pose.z_m),
        (pose.x_m + 0.12, 0.0, pose.z_m),
        0.16,
        0.16,
        max(1.5, 0.2 * view.place.focal_px / max(pose.z_m, 0.5)),
    )
    if foot is not None:
        view.darken(foot.box, foot.cover, 0.4, direct=False)
    if view.lights.sun_lx < 1.0:
        return

    def cast(p: Point) -> Point:
        down = p[1] / SUN[1]
        wall = (WALL_Z_M - 0.02 - p[2]) / -SUN[2]
        at = min(down, wall) if p[0] - wall * SUN[0] < -0.5 and wall > 0 else down
        return (p[0] - at * SUN[0], max(p[1] - at * SUN[1], 0.0), p[2] - at * SUN[2])

    spots = []
    for a, b, ra, rb in SHADOW:
        spot = view.capsule(cast(points[a]), cast(points[b]), ra, rb, 1.5)
        if spot is not None:
            spots.append(spot)
    if not spots:
        return
    top, low = min(s.box[0].start for s in spots), max(s.box[0].stop for s in spots)
    left, right = min(s.box[1].start for s in spots), max(s.box[1].stop for s in spots)
    total = np.zeros((low - top, right - left), np.float32)
    for s in spots:
        part = total[s.box[0].start - top : s.box[0].stop - top, s.box[1].start - left : s.box[1].stop - left]
        np.maximum(part, s.cover, out=part)
    view.darken((slice(top, low), slice(left, right)), total, 0.0, direct=True)
