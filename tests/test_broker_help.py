"""What `doorstep broker ... --help` says, and the units that deploy it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from broker.usage import COMMANDS
from tests.rig import doorstep

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.mark.parametrize("command", ["broker", "broker device", "broker phone", *COMMANDS])
def test_every_command_explains_itself(command: str) -> None:
    """--help answers what, with which words, and for example how."""
    done = doorstep(*command.split(), "--help", COLUMNS="80")
    assert done.returncode == 0
    assert "usage: doorstep broker" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    if command in COMMANDS:
        assert "example" in done.stdout


@pytest.mark.parametrize("words", [["broker"], ["broker", "setup"], ["broker", "phone"], ["broker", "phone", "add"], ["broker", "ntfy"]])
def test_wrong_usage_is_exit_2_and_leaves_nothing(words: list[str], tmp_path: Path) -> None:
    """Whoever mistypes learns the right word."""
    done = doorstep(*words, *(["--dir", str(tmp_path / "b")] if words == ["broker", "setup"] else []))
    assert done.returncode == 2
    assert "usage: doorstep broker" in done.stderr or "doorstep: hint: " in done.stderr
    assert not (tmp_path / "b").exists()


def test_the_units_are_read_by_systemd(tmp_path: Path) -> None:
    """A typo in a unit is found on the day it is needed."""
    assert shutil.which("systemd-analyze"), "systemd is part of Debian"
    for name in ("doorstep-broker-renew.service", "doorstep-broker-renew.timer", "doorstep-ntfy.service"):
        (tmp_path / name).write_text((DEPLOY / name).read_text().replace("/opt/doorstep/bin/doorstep", "/bin/true"))
    stock = tmp_path / "mosquitto.service"
    stock.write_text("[Unit]\nDescription=Mosquitto\n[Service]\nType=notify\nExecStart=/bin/true\nExecStartPre=/bin/true\n")
    (tmp_path / "mosquitto.service.d").mkdir()
    (tmp_path / "mosquitto.service.d" / "doorstep.conf").write_text(
        (DEPLOY / "mosquitto-doorstep.conf").read_text().replace("/usr/sbin/mosquitto", "/bin/true"))
    units = [str(path) for path in tmp_path.iterdir() if path.is_file()]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert complaints == [], done.stderr


def test_the_unit_of_mosquitto_keeps_what_waits_in_memory_across_a_restart() -> None:
    """systemd would remove the folder with each stop, and the alerts in it."""
    unit = (DEPLOY / "mosquitto-doorstep.conf").read_text()
    for line in ("RuntimeDirectory=doorstep-broker", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes",
                 "ExecStart=/usr/sbin/mosquitto -c /etc/doorstep/broker/mosquitto.conf", "LimitCORE=0"):
        assert line in unit.splitlines()
