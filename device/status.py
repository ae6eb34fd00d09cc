"""`doorstep status`: one screen of how the installed door is.

Rule 1: it asks the service manager and reads the configuration; it opens no camera, no pin and no recording.
Rule 2: what a process says of itself is believed only in the words of device/notify.py; a time is not among them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from device import __version__
from device.config import Config, load
from device.errors import DoorstepError
from device.notify import LINES

ASKED = ("LoadState", "ActiveState", "SubState", "NRestarts", "StatusText")
GOOD = re.compile(r"watching|connected|ready|recording\b|paused|no button|no recipient|no picture")


@dataclass(frozen=True, slots=True)
class Process:
    """One of the three, as the service manager knows it."""

    name: str
    state: str  # systemd's, such as active, activating, failed
    restarts: int
    says: str  # out of LINES, or empty
    details: dict[str, str] = field(default_factory=dict)  # the numbers in it

    @property
    def is_well(self) -> bool:
        """Whether it runs and does what it is there for."""
        return self.state == "active" and bool(GOOD.match(self.says))


def read(name: str, shown: Mapping[str, str]) -> Process:
    """Make a Process of what `systemctl show` printed of it. Raise DoorstepError where there is no such service."""
    if shown.get("LoadState") != "loaded":
        raise DoorstepError("no services of Doorstep are installed on this machine",
                            "sudo deploy/install.sh installs them; `doorstep run` says itself how it is")
    text = shown.get("StatusText", "")
    found = re.fullmatch(LINES[name], text, re.ASCII)
    details = {key: value for key, value in found.groupdict().items() if value} if found else {}
    says = text if found else "it says what it should not" if text else ""
    return Process(name, shown.get("ActiveState", "unknown"), int(shown.get("NRestarts") or 0), says, details)


def shown(name: str, asked: Iterable[str] = ASKED) -> dict[str, str]:
    """Return what `systemctl show` prints of one of the three, in one line a key; nothing where there is no systemd."""
    if shutil.which("systemctl") is None:
        return {}
    keys = [f"--property={key}" for key in asked]
    output = subprocess.run(["systemctl", "show", f"doorstep-{name}.service", *keys],  # noqa: S607 - the owner's own
                            capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for key, _, value in (line.partition("=") for line in output.splitlines() if "=" in line):
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


def status(path: Path, as_json: bool, show: Callable[[str], Mapping[str, str]] = shown) -> int:
    """Print how the door is that is configured in `path`; return 0 where all is well, else 1."""
    processes = [read(name, show(name)) for name in LINES]
    config = load(path)
    well = all(process.is_well for process in processes)
    if as_json:
        print(json.dumps({"version": __version__, "place": config.place, "well": well, "camera": config.camera.source,
                          "broker": _broker(config), "processes": {each.name: asdict(each) for each in processes}}))
    else:
        print("\n".join(screen(config, processes)))
    return 0 if well else 1


def screen(config: Config, processes: list[Process]) -> list[str]:
    """Return the lines of the screen."""
    see, tell, keep = processes
    lines = [f"doorstep {__version__} at {config.place}", ""]
    for each in processes:
        again = f" (started again {each.restarts} times)" if each.restarts else ""
        mark = "ok" if each.is_well else "!!"
        lines.append(f"  {mark:4}{each.name:6}{each.state}{again}: {each.says or 'says nothing'}")
    lines += [
        "",
        f"  camera      {_camera(config, see)}",
        f"  broker      {_broker(config)}, {tell.details.get('broker', 'unknown')}",
        f"  last alert  {tell.details.get('last_alert', 'none since the start')}",
        f"  storage     {_storage(config, keep)}",
    ]
    if not all(each.is_well for each in processes):
        lines += ["", "  what they said: sudo journalctl --namespace=doorstep --since=-10min"]
    return lines


def _camera(config: Config, see: Process) -> str:
    if not config.camera.has_picture:
        return f"none; a sensor at pin {config.camera.pin}"
    return f"{config.camera.source}, {see.details.get('frames_per_s', '?')} frames/s"


def _storage(config: Config, keep: Process) -> str:
    if not config.camera.has_picture:
        return "nothing is recorded: a sensor gives no picture"
    if "clips" not in keep.details:
        return "nothing is recorded: no recipient is configured" if not config.recording.recipients else "unknown"
    return f"{keep.details['clips']} clips, room for {keep.details['room']} more"


def _broker(config: Config) -> str:
    return f"{config.broker.host}:{config.broker.port}" if config.broker.host else "none"
