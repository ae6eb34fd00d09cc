"""What is not looked at: the street, the neighbour's door.

Rule 1: a masked cell is zeroed before anything else is done with a frame; no setting looks behind it.
"""

from __future__ import annotations

import numpy as np

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.see.frame import Watched

MASKED = "#"


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
