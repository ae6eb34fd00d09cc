"""Masked cells: the street and the neighbour's door are nobody's business."""

from __future__ import annotations

import numpy as np
import pytest

from device.config import Camera, Config, parse, to_toml
from device.errors import ConfigError
from device.see.detector import Detector
from device.see.frame import Frame
from device.see.mask import watched

LEFT = tuple("########........" for _ in range(12))


@pytest.mark.parametrize("size", [(120, 160), (90, 160), (240, 320), (107, 160), (17, 31)])
def test_the_cells_cover_the_picture_whatever_its_size(size: tuple[int, int]) -> None:
    """Not a row or a column is in no cell."""
    half = watched(LEFT, *size)
    assert half is not None
    assert half.shape == size
    assert not half[:, : size[1] // 2].any()
    assert half[:, -(size[1] // 2):].all()
    assert watched((), *size) is None


def test_a_mask_survives_the_configuration() -> None:
    """`doorstep run` writes it, its children read it."""
    door = Config(camera=Camera(mask=LEFT))
    assert parse(to_toml(door)) == door


@pytest.mark.parametrize("mask", ["['x']", "['" + "." * 16 + "']", "'" + "." * 16 + "'", "3",
                                  str(["#" * 16] * 12), str(["." * 15] * 12), str([["."] * 16] * 12)])
def test_a_mask_of_another_shape_or_that_hides_all_is_refused(mask: str) -> None:
    """A blind camera must be no typo away."""
    with pytest.raises(ConfigError, match="mask"):
        parse(f"[camera]\nmask = {mask}")


def test_what_moves_behind_the_mask_is_never_told_and_before_it_is() -> None:
    """The same body on either side."""
    rng = np.random.default_rng(1)
    place = rng.integers(90, 160, (12, 16)).repeat(10, 0).repeat(10, 1)

    def walk(from_px: int) -> list[str]:
        detector, told = Detector(3, watched(LEFT, 120, 160)), []
        for n in range(110):
            picture = place + rng.normal(0, 1, place.shape)
            if 40 <= n < 60:
                picture[30:110, from_px + 2 * (n - 40):from_px + 2 * (n - 40) + 20] = 30
            told += [m.name for m in detector.step(Frame(picture.clip(0, 255).astype(np.uint8), n / 10))]
        return told

    assert walk(0) == []
    assert walk(90) == ["MOTION_STARTED", "MOTION_ENDED"]
