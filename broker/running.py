"""The Mosquitto that runs with our configuration, and how it learns of a change at once.

Rule 1: no file is believed about which process that is: its command line must name our configuration.
Rule 2: nothing that waits for a phone is lost by a change.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from device.errors import DoorstepError


def find(configuration: Path) -> list[int]:
    """Return the process ids of every Mosquitto that was started with `configuration`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            program, *words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended just now
            continue
        if program.rpartition(b"/")[2] == b"mosquitto" and os.fsencode(configuration) in words:
            found.append(int(entry.name))
    return found


def tell(configuration: Path) -> str:
    """Have Mosquitto take its files anew; whoever may no longer come in is cut off. Return what was done, in words.

    A service is restarted: a reload harms the sessions that Mosquitto 2.0 has read from its file at its start (2.0.11
    keeps no new alerts for them, 2.0.21 mistakes connected clients for expired ones). A restart loses nothing: what
    waits is in memory outside the process, and what comes meanwhile waits at the door.
    """
    done = []
    for pid in find(configuration):
        try:
            unit = _unit(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")) if os.geteuid() == 0 else None
            if unit is not None:
                _restart(unit)
                done.append(f"{unit} restarted")
                continue
            os.kill(pid, signal.SIGHUP)
        except (FileNotFoundError, ProcessLookupError):  # it ended just now
            continue
        except PermissionError:
            raise DoorstepError(f"Mosquitto (process {pid}) is another user's, and has not taken the change",
                                "run the same with sudo, or restart Mosquitto") from None
        done.append(f"Mosquitto (process {pid}) reloaded; restart it if phones slept through a start, or ports changed")
    return "; ".join(done) or f"no Mosquitto runs with {configuration} yet"


def _unit(groups: str) -> str | None:
    """Return the service a process belongs to; `groups` as in cgroups(7), /proc/PID/cgroup."""
    match = re.search(r"/system\.slice/([\w@.-]*mosquitto[\w@.-]*\.service)$", groups, re.MULTILINE)
    return match[1] if match else None


def _restart(unit: str) -> None:
    done = subprocess.run(["systemctl", "restart", unit], capture_output=True, text=True, check=False)  # noqa: S607 - systemd's place differs
    if done.returncode != 0:
        raise DoorstepError(f"{unit} did not restart", f"see: journalctl -u {unit}; then: systemctl restart {unit}")
