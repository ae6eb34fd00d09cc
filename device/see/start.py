"""Whether `see` has a camera or a motion sensor, and so which powers it gives up before it watches.

Rule 1: nothing of the one is loaded for the other.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from device import sandbox
from device.config import Config
from device.messages import Sender
from device.notify import Manager
from device.sandbox_calls import Role


def start(config: Config, to_tell: socket.socket, address: str | None, manager: Manager,
          from_keep: socket.socket | None, video_address: str) -> int:
    """Watch, confined, until asked to stop; the arguments are as in device/see/process.py."""
    if not config.camera.has_picture:
        from device.see import pir

        return pir.run(config, Sender(to_tell, address), from_keep, manager)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would be of no use, and here too early
    from device.see import process

    role = Role.SEE if config.camera.source in ("porch", "file") else Role.CAMERA
    sandbox.give_up(role, reads=[Path(config.camera.path)] if config.camera.source == "file" else [])
    sandbox.shut(role)  # a lost camera is opened again: what that needs, `see` can do as long as it lives
    return process.run(config, to_tell, address, manager=manager, from_keep=from_keep, video_address=video_address)
