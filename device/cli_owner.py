"""What the owner's commands do, on any computer.

Rule 1: nothing is imported until its command runs.
"""

from __future__ import annotations

import argparse

from device.usage import Run


def _key_new(options: argparse.Namespace) -> int:
    from device.keep.owner_key import new

    return new(options.file, options.paper, options.qr, options.here)


def _clips_list(options: argparse.Namespace) -> int:
    from device.keep.owner_clips import list_clips

    return list_clips(options.folder, options.json)


def _clips_open(options: argparse.Namespace) -> int:
    from device.keep.owner_key import default_path
    from device.keep.owner_open import Order, open_clip

    return open_clip(Order(options.clip, options.folder, options.identity or default_path(), options.output,
                           options.force))


def _clips_verify(options: argparse.Namespace) -> int:
    from device.keep.owner_clips import verify

    return verify(options.folder, options.device, options.json)


RUNS: dict[str, Run] = {
    "key new": _key_new,
    "clips list": _clips_list,
    "clips open": _clips_open,
    "clips verify": _clips_verify,
}
