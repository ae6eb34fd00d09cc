"""From pixels to cells: a frame becomes a small grid of mean levels, whatever its size.

Rule 1: every pixel counts, the last row and column too; what may not be looked at is zeroed first.
Rule 2: sums are 16 bits wide and nothing wraps; the cost is linear in the pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from device.see.frame import Grey, Watched

Cells = npt.NDArray[np.float32]  # shape (rows, columns); mean luma of each cell, 0 to 255

# A grid about 80 cells wide keeps a visitor at 10 m (16 px of 120) 3 cells wide, and averages the
# noise of 4 pixels at 160 x 120: halves it.
GRID_COLUMNS = 80
LARGEST_CELL_PX = 16  # 16 x 16 x 255 = 65280, the largest sum that 16 bits hold
LEAST_PX = 16  # a picture smaller than this in width or height holds no person


class Grid:
    """Means over square cells of one picture size, in buffers that are made once.

    height_px, width_px: 16 or more. `watched`: bool, (height_px, width_px), False = zeroed; or None.
    ValueError if a size is too small or `watched` has another shape or type.
    """

    def __init__(self, height_px: int, width_px: int, watched: Watched | None = None) -> None:
        if not (height_px >= LEAST_PX and width_px >= LEAST_PX):
            raise ValueError(f"frame is {width_px} x {height_px} px: must be at least {LEAST_PX} x {LEAST_PX}")
        if watched is not None and (watched.dtype != np.bool_ or watched.shape != (height_px, width_px)):
            raise ValueError(f"watched is {watched.dtype}{list(watched.shape)}: "
                             f"must be bool[{height_px}, {width_px}], as the frame")
        self._size = height_px, width_px
        cell = self.cell_px = min(LARGEST_CELL_PX, 2 * max(1, round(width_px / GRID_COLUMNS / 2)))
        rows, columns = -(-height_px // cell), -(-width_px // cell)
        self._pixels = np.zeros((rows * cell, columns * cell), np.uint8)
        self._pairs = np.empty((rows * cell, columns * cell // 2), np.uint16)
        self._odd = np.empty_like(self._pairs)
        self._sums = np.empty((rows, columns * cell // 2), np.uint16)
        self._by_row = self._pairs.reshape(rows, cell, columns * cell // 2)
        self._total = np.empty((rows, columns), np.uint16)
        self._cells: Cells = np.empty((rows, columns), np.float32)
        self._scale = np.float32(1 / (cell * cell))
        self._mask = None if watched is None else watched.astype(np.uint8)
        self.shape = rows, columns

    def cells(self, luma: Grey) -> Cells:
        """Mean level of each cell; the buffer is used again by the next call."""
        pixels = luma if self._mask is None and luma.shape == self._pixels.shape else self._padded(luma)
        words = np.ascontiguousarray(pixels).view(np.uint16)  # two neighbours each
        np.right_shift(words, 8, out=self._odd)
        np.bitwise_and(words, 0xFF, out=self._pairs)
        np.add(self._pairs, self._odd, out=self._pairs)
        if self.cell_px == 2:
            np.add(self._by_row[:, 0], self._by_row[:, 1], out=self._sums)
        else:
            np.add.reduce(self._by_row, axis=1, dtype=np.uint16, out=self._sums)
        total, pairs = self._sums, self.cell_px // 2
        if pairs > 1:
            np.add(total[:, 0::pairs], total[:, 1::pairs], out=self._total)
            for k in range(2, pairs):
                np.add(self._total, total[:, k::pairs], out=self._total)
            total = self._total
        return np.multiply(total, self._scale, out=self._cells)

    def _padded(self, luma: Grey) -> Grey:
        """A copy without what may not be looked at, up to whole cells."""
        height, width = self._size
        pixels = self._pixels
        if self._mask is None:
            pixels[:height, :width] = luma
        else:
            np.multiply(luma, self._mask, out=pixels[:height, :width])
        pixels[:height, width:] = pixels[:height, width - 1 : width]  # the rest of the last cell: as its edge
        pixels[height:] = pixels[height - 1]
        return pixels
