"""A visitor's body: who they are, how they stand and walk, and where that puts each joint.

Rule 1: the joints come from geometry alone; `Look` only chooses what the limbs are painted with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from device.see.porch_view import Point


@dataclass(frozen=True, slots=True)
class Body:
    """Geometry: what moves and how large it is."""

    height_m: float
    width: float  # 1: usual; coats and frames differ by a tenth or two
    arm_swing: float
    coat: float  # albedo
    trousers: float
    skin: float
    hair: float


@dataclass(frozen=True, slots=True)
class Look:
    """Content: patterns and faces, without any say in geometry or mean brightness."""

    pattern: int  # 0 plain, 1 hoops, 2 pinstripes, 3 checks, 4 yoke
    count: float  # stripes
    eyes: float  # where the features of the face are
    mouth: float
    hairline: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a body is and what it does."""

    x_m: float
    z_m: float
    heading: float  # radians; 0 walks away from the camera, pi towards it, pi / 2 to the right
    phase: float  # of the gait, radians; two steps are one turn
    stride: float  # 0 standing, 1 walking, above that running
    reach: float  # 0 arms down, 1 the right arm at the bell
    lean_m: float  # sideways sway of the upper body
    speed_m_per_s: float = 0.0
    bag: bool = False
    lift_m: float = 0.0  # standing on a step


def body_of(seed: int, coat: float | None) -> Body:
    """A body from its seed; `coat` overrides the coat's albedo."""
    r = np.random.default_rng([seed, 11])
    albedo = float(r.choice([0.05, 0.12, 0.25, 0.45, 0.65])) * float(r.uniform(0.85, 1.15))
    if coat is not None:
        albedo = coat
    return Body(
        float(r.uniform(1.55, 1.9)),
        float(r.uniform(0.9, 1.2)),
        float(r.uniform(0.6, 1.1)),
        albedo,
        float(r.choice([0.05, 0.10, 0.20])),
        float(r.choice([0.15, 0.28, 0.42])),
        float(r.choice([0.04, 0.1, 0.3])),
    )


def look_of(content: int, number: int) -> Look:
    """A look from the content's seed and the visitor's number."""
    r = np.random.default_rng([content, number, 12])
    return Look(
        int(r.integers(0, 5)),
        float(r.uniform(3, 8)),
        float(r.uniform(0.25, 0.5)),
        float(r.uniform(0.3, 0.6)),
        float(r.uniform(-0.1, 0.25)),
    )


def joints(body: Body, pose: Pose) -> dict[str, Point]:
    """The joints in metres; the lower foot stands on the ground."""
    k = body.height_m / 1.75
    sh, ch = sin(pose.heading), cos(pose.heading)

    def at(forward: float, right: float, up: float) -> Point:
        return (pose.x_m + forward * sh + right * ch, up, pose.z_m + forward * ch - right * sh)

    swing = 0.46 * min(pose.stride, 1.5)  # radians at the hip: a step of 0.75 m with legs of 0.9 m
    legs = {}
    for side, shift in (("l", 0.0), ("r", pi)):
        hip = swing * sin(pose.phase + shift)
        bend = min(pose.stride, 1.6) * (0.12 + 0.95 * max(0.0, cos(pose.phase + shift)) ** 2) + 0.03
        knee = (0.45 * k * sin(hip), -0.45 * k * cos(hip))
        foot = (knee[0] + 0.46 * k * sin(hip - bend), knee[1] - 0.46 * k * cos(hip - bend))
        legs[side] = (knee, foot)
    pelvis = max(-legs["l"][1][1], -legs["r"][1][1]) + 0.07 * k + pose.lift_m
    up, tilt = pelvis, 0.10 * max(0.0, pose.stride - 1.1)
    lean = pose.lean_m
    out: dict[str, Point] = {
        "pelvis": at(0, lean * 0.4, up),
        "waist": at(0.04 * tilt, lean * 0.6, up + 0.15 * k),
        "chest": at(tilt, lean, up + 0.42 * k),
        "neck": at(tilt * 1.2, lean, up + 0.56 * k),
        "head": at(tilt * 1.3 + 0.02, lean, up + 0.69 * k),
        "crown": at(tilt * 1.3 + 0.02, lean, up + 0.75 * k),
    }
    for side, sign in (("l", -1.0), ("r", 1.0)):
        knee, foot = legs[side]
        hip_at = sign * 0.09 * k
        out["hip" + side] = at(0, hip_at + lean * 0.4, up)
        out["knee" + side] = at(knee[0], hip_at + lean * 0.2, up + knee[1])
        out["ankle" + side] = at(foot[0], hip_at, up + foot[1])
        out["toe" + side] = at(foot[0] + 0.17 * k, hip_at * 1.3, up + foot[1] - 0.035 * k)
        arm = -swing * body.arm_swing * sin(pose.phase + (0.0 if side == "l" else pi))
        bend = 0.25 + 0.9 * max(0.0, pose.stride - 1.0)
        if side == "r":
            arm, bend = (
                arm * (1 - pose.reach) + 1.25 * pose.reach,
                bend * (1 - pose.reach) + 0.35 * pose.reach,
            )
        wide = sign * 0.20 * k * body.width
        top = up + 0.48 * k
        elbow = (tilt + 0.28 * k * sin(arm), top - 0.28 * k * cos(arm))
        hand = (elbow[0] + 0.26 * k * sin(arm + bend), elbow[1] - 0.26 * k * cos(arm + bend))
        out["shoulder" + side] = at(tilt, wide + lean, top)
        out["elbow" + side] = at(elbow[0], wide * 1.12 + lean, elbow[1])
        out["hand" + side] = at(hand[0], wide * 1.08 + lean, hand[1])
    return out
