"""Pictures that say which they are, and recordings of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from device.see.frame import Grey

WIDTH_PX, HEIGHT_PX, PER_S, SECONDS, BITS = 320, 240, 20, 40, 12


def picture(n: int) -> Grey:
    """Frame n: its number as a row of black and white squares, above a texture that nothing moves in."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    luma = (110 + 60 * np.sin(x / 17.0) * np.cos(y / 13.0)).astype(np.uint8)
    for bit in range(BITS):
        luma[40:56, 40 + 16 * bit : 56 + 16 * bit] = 220 if n >> bit & 1 else 30
    return luma


def number(luma: Grey) -> int:
    return sum(1 << bit for bit in range(BITS) if luma[44:52, 44 + 16 * bit : 52 + 16 * bit].mean() > 125)


def write(path: Path, lumas: Iterable[Grey]) -> Path:
    """Write a lossless video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=PER_S)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        chroma = np.full((HEIGHT_PX // 2, WIDTH_PX), 90, np.uint8)
        for luma in lumas:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")))
        container.mux(stream.encode())
    return path
