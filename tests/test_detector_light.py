"""Light that is taken out of the place: always while something differs, and only what is more than noise else."""

from __future__ import annotations

import numpy as np
import pytest

from device.see.detector_light import STEADY_LEVELS, Light
from tests.watched import place

SHAPE = (60, 80)


@pytest.mark.parametrize("levels", [-2.0, -0.5, 0.5, 2.0])
@pytest.mark.parametrize("quiet", [True, False])
def test_a_change_of_light_is_taken_out_quiet_or_not(levels: float, quiet: bool) -> None:
    """Also the least that counts."""
    then, light = place(*SHAPE), Light(SHAPE)
    now = then * np.float32(1 + levels / then.mean())
    light.relight(then, now, quiet)
    assert light.changes
    assert np.abs(then - now).mean() < 0.1 * abs(levels)
    assert light.correction.mean() == pytest.approx(abs(levels), rel=0.1)


def test_noise_is_no_light_while_all_is_quiet() -> None:
    """The place stays as it was learnt; with somebody there it is lit as the frame is, however little that is."""
    then, light = place(*SHAPE), Light(SHAPE)
    now = then + np.float32(STEADY_LEVELS / 2)
    light.relight(then, now, quiet=True)
    assert not light.changes
    assert np.array_equal(then, place(*SHAPE))
    assert not light.correction.any()
    light.relight(then, now, quiet=False)
    assert light.changes
    assert np.abs(then - now).mean() < STEADY_LEVELS / 4


def test_what_one_block_shows_is_no_noise() -> None:
    """A lamp behind one window."""
    then, light = place(*SHAPE), Light(SHAPE)
    now = then.copy()
    now[28:32, 40:44] += 4 * np.float32(STEADY_LEVELS)
    light.relight(then, now, quiet=True)
    assert light.changes
