"""What is not looked at: the street, the neighbour's door.

Rule 1: a masked cell is zeroed before anything else is done with a frame; no setting looks behind it.
Rule 2: it is the same piece of the picture at every size, and black in a recording too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.see.frame import Grey, Watched

MASKED = "#"
BLACK_LUMA, NO_COLOUR = 16, 128  # of limited-range YUV, which is what is recorded


def watched(mask: tuple[str, ...], height_px: int, width_px: int) -> Watched | None:
    """Return where a picture of that size may be looked at; None where that is everywhere.

    mask: as in the configuration, MASK_ROWS rows of MASK_COLUMNS. Cells are half-open in pixels, and
    together cover the picture, whatever its size.
    """
    if not mask:
        return None
    cells = np.array([[letter != MASKED for letter in row] for row in mask])
    rows = np.arange(height_px) * MASK_ROWS // height_px
    columns = np.arange(width_px) * MASK_COLUMNS // width_px
    return np.ascontiguousarray(cells[np.ix_(rows, columns)])


def black_out(mask: tuple[str, ...], luma: Grey, chroma: Sequence[Grey]) -> None:
    """Make the masked cells of a YUV 4:2:0 picture black, in place.

    Cells are those of `watched`; a chroma sample that reaches into a cell loses its colour whole.
    """
    height_px, width_px = luma.shape
    for row, letters in enumerate(mask):
        top, bottom = _edge(row, height_px, MASK_ROWS), _edge(row + 1, height_px, MASK_ROWS)
        for column, letter in enumerate(letters):
            if letter == MASKED:
                left, right = _edge(column, width_px, MASK_COLUMNS), _edge(column + 1, width_px, MASK_COLUMNS)
                luma[top:bottom, left:right] = BLACK_LUMA
                for plane in chroma:
                    plane[top // 2 : -(-bottom // 2), left // 2 : -(-right // 2)] = NO_COLOUR


def _edge(cell: int, pixels: int, cells: int) -> int:
    """Return the first pixel of a cell."""
    return -(-cell * pixels // cells)
