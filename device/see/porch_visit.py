"""A visitor's walk: along a way to the bell, a stand with small sways, and back.

Rule 1: a pose is a function of time alone; nothing is remembered between frames.
Rule 2: the ground truth is measured with the drawing itself, so it cannot disagree with the picture.
"""

from __future__ import annotations

from math import atan2, exp, hypot, pi, sin

import numpy as np

from device.see.porch_body import Look, Pose, body_of, look_of
from device.see.porch_people import draw
from device.see.porch_scene import Visit, Way
from device.see.porch_view import View

AtDoor = tuple[float, float]  # metres: x, z

# waypoints (x, z) in metres there, and back; out of view at both ends. None: the way there, backwards.
WAYS: dict[Way, tuple[tuple[AtDoor, ...], tuple[AtDoor, ...] | None]] = {
    Way.STREET: (
        ((15.5, 14.6), (3.4, 14.5), (1.7, 13.4), (0.9, 9.0), (0.5, 5.6), (-0.5, 4.35), (-1.7, 4.3)),
        None,
    ),
    Way.DRIVE: (((8.2, 6.4), (3.2, 6.2), (1.0, 4.9), (-0.6, 4.3), (-1.65, 4.3)), None),
    Way.NEAR: (((3.6, 2.7), (1.2, 2.7), (0.0, 3.2), (-1.1, 4.0), (-1.6, 4.25)), None),
    Way.FILL: (((4.2, 3.0), (1.2, 2.3), (0.25, 1.0), (0.02, 0.42)), None),
    Way.FAR: (((17.5, 14.6), (8.0, 14.7), (2.0, 14.7), (-4.0, 14.6)), ()),
    Way.PASS: (((4.6, 3.6), (1.0, 3.3), (-2.2, 3.5), (-4.6, 3.7)), ()),
}
FEW_PX = 12.0  # at 160 x 120; below this a visitor is at the edge and says nothing either way
TURN_M = 0.5  # corners are rounded over this length


class Path:
    """A line through waypoints with rounded corners, by length walked."""

    def __init__(self, points: tuple[AtDoor, ...], jitter: AtDoor) -> None:
        xz = np.array(points, np.float64)
        xz[1:-1] += jitter
        steps = np.hypot(*np.diff(xz, axis=0).T)
        at = np.concatenate([[0.0], np.cumsum(steps)])
        self.length_m = float(at[-1])
        self._s = np.linspace(0, self.length_m, max(8, int(self.length_m / 0.1)))
        line = np.stack([np.interp(self._s, at, xz[:, 0]), np.interp(self._s, at, xz[:, 1])], 1)
        window = max(1, int(TURN_M / 0.1)) * 2 + 1
        padded = np.pad(line, ((window // 2, window // 2), (0, 0)), mode="reflect", reflect_type="odd")
        kernel = np.hanning(window + 2)[1:-1]
        self._xz = np.stack([np.convolve(padded[:, i], kernel / kernel.sum(), "valid") for i in (0, 1)], 1)

    def at(self, s_m: float) -> tuple[float, float, float]:
        """x, z and heading after this length."""
        x, z = (float(np.interp(s_m, self._s, self._xz[:, i])) for i in (0, 1))
        back, on = max(0.0, s_m - 0.15), min(self.length_m, s_m + 0.15)
        dx, dz = (
            float(np.interp(on, self._s, self._xz[:, i]) - np.interp(back, self._s, self._xz[:, i]))
            for i in (0, 1)
        )
        return x, z, atan2(dx, dz)


class Walker:
    """One visit, at any time."""

    def __init__(self, visit: Visit, number: int, seed: int, content: int) -> None:
        self.visit = visit
        r = np.random.default_rng([seed, number, 31])
        self.body = body_of(int(r.integers(0, 2**31)), visit.coat_albedo)
        self.look: Look = look_of(content, number)
        there, back = WAYS[visit.way]
        jitter = (float(r.uniform(-0.12, 0.12)), float(r.uniform(-0.1, 0.1)))
        self._there = Path(there, jitter)
        self._back = Path(tuple(reversed(there)), jitter) if back is None else None
        self._v = visit.speed_m_per_s
        self._came_s = self._there.length_m / self._v
        self._stands = back is None
        self._left_s = self._came_s + (visit.stand_s if self._stands else 0.0)
        self.end_s = visit.at_s + self._left_s + (self._back.length_m / self._v if self._back else 0.0)
        self._sway = r.uniform(0, 2 * pi, 4)
        self._shifts = np.cumsum(r.exponential(7.0, 100) + 1.5)  # somebody who waits shifts every 8 s or so
        self._sides = r.choice([-0.05, -0.02, 0.02, 0.05], 101)
        self._bag_left_s: float | None = None

    @property
    def arrived_s(self) -> float:
        """When the visitor stands at the end of the way."""
        return self.visit.at_s + self._came_s

    def drop_bag(self) -> None:
        """Have this visitor carry a bag, and leave it where the way ends."""
        self._bag_left_s = self._came_s + min(1.0, self.visit.stand_s)

    def bag_place(self) -> tuple[float, float]:
        """X and z in metres of the bag that is left."""
        x, z, _ = self._there.at(self._there.length_m)
        return x + 0.45, z

    def pose(self, t_s: float) -> Pose | None:
        """Where the visitor is; None before the visit and after it."""
        t = t_s - self.visit.at_s
        if not 0 <= t <= self.end_s - self.visit.at_s:
            return None
        bag = self._bag_left_s is not None and t < self._bag_left_s
        a, b, c, d = self._sway
        lean = 0.012 * sin(1.9 * t + a) + 0.008 * sin(3.1 * t + b)
        step_m = 0.45 + 0.22 * min(self._v, 3.5)  # steps lengthen with speed: 0.75 m at 1.35 m/s
        stride = min(1.6, 0.35 + 0.5 * self._v)
        if t < self._came_s or not self._stands:
            s = min(self._v * t, self._there.length_m)
            x, z, heading = self._there.at(s)
            calm = min(1.0, (self._there.length_m - s) / 0.4) if self._stands else 1.0
            return Pose(
                x,
                z,
                heading,
                pi * s / step_m,
                stride * max(0.15, calm),
                0.0,
                lean,
                self._v,
                bag,
                self._lift(z),
            )
        x, z, arrived = self._there.at(self._there.length_m)
        stand = self._left_s - self._came_s
        u = t - self._came_s
        facing = pi if self.visit.way is Way.FILL else 0.35  # at the door, or at the lens
        if t < self._left_s:
            turn = facing + _wrap(arrived - facing) * exp(-3.0 * u)
            number = int(np.searchsorted(self._shifts, u))
            since = u - (self._shifts[number - 1] if number else 0.0)
            old = float(self._sides[number - 1]) if number else 0.0
            lean += old + (float(self._sides[number]) - old) * min(1.0, float(since) / 0.5) if number else 0.0
            turn += 0.12 * sin(0.7 * t + c) + 0.05 * sin(1.3 * t + d)
            ring = max(0.0, min(1.0, (u - 0.4) / 0.4, (2.2 - u) / 0.4)) if stand > 2.2 else 0.0
            return Pose(x, z, turn, 0.0, 0.0, ring, lean, 0.1, bag, self._lift(z))
        if self._back is None:
            return None
        s = self._v * (t - self._left_s)
        x, z, heading = self._back.at(min(s, self._back.length_m))
        start = exp(-2.5 * (t - self._left_s))
        heading = heading + _wrap(facing - heading) * start
        return Pose(
            x, z, heading, pi * s / step_m, stride * (1 - 0.7 * start), 0.0, lean, self._v, bag, self._lift(z)
        )

    def _lift(self, z_m: float) -> float:
        """Who steps up to the lens stands on the step below it, 0.3 m high."""
        return 0.3 * min(max((1.0 - z_m) / 0.3, 0.0), 1.0) if self.visit.way is Way.FILL else 0.0

    def draw(self, view: View) -> None:
        """Draw the visitor as of the view's time."""
        pose = self.pose(view.t_s)
        if pose is not None:
            draw(view, self.body, self.look, pose)

    def touched_px(self, view: View, t_s: float) -> float:
        """How many pixels of a 160 x 120 picture the visitor covers or shades."""
        pose = self.pose(t_s)
        if pose is None:
            return 0.0
        view.measuring, before = True, view.touched_px
        draw(view, self.body, self.look, pose)
        view.measuring = False
        return float((view.touched_px - before) * (120.0 / view.rows) ** 2)

    def in_view(self, view: View, least_px: float = 0.0) -> tuple[int, int] | None:
        """First and last frame in which more than `least_px` of the visitor are in view; None if never."""
        fps = view.frames_per_s
        first, last = int(np.ceil(self.visit.at_s * fps)), int(np.floor(self.end_s * fps))
        while first <= last and not self.touched_px(view, first / fps) > least_px:
            first += 1
        while last >= first and not self.touched_px(view, last / fps) > least_px:
            last -= 1
        return (first, last) if first <= last else None


def _wrap(angle: float) -> float:
    return float((angle + pi) % (2 * pi) - pi)


def depth_of(walker: Walker, t_s: float) -> float:
    """Metres from the camera's plane, to draw the far ones first."""
    pose = walker.pose(t_s)
    return hypot(pose.x_m, pose.z_m) if pose is not None else 0.0
