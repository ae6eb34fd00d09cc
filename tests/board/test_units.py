"""The units as shipped, put there by install.sh: they watch, tell and record, are denied what they say, and come back.

One board for all of these tests, in any order but for the last: each begins where all is well, and ends so.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board.conftest import PREFIX
from tests.board.installed import NAMES, SLOW_S, TOML, Installed
from tests.board.rig import SNAPSHOT, Board
from tests.board.test_button import OWNER, opened

CLIPS = "/var/lib/doorstep/clips"
VIVID = "/sys/bus/platform/drivers/vivid"
STILL = "v4l2-ctl -d /dev/video0 -c osd_text_mode=2,test_pattern=19,horizontal_movement=3"  # a cross that stands, and no clock
MOVE, STAND = (f"v4l2-ctl -d /dev/video0 -c horizontal_movement={way}" for way in (4, 3))
OTHER = "192.0.2.7"  # another machine: its address is one of the board's own, but of no unit's
ALIAS = """
import fcntl, socket, struct
ask = struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton("{}"))
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8916, ask)  # SIOCSIFADDR
"""

# What each unit lets through. All else is denied, and all of it works outside of them.
# Python alone can be started, by which nothing is gained: the process itself denies that. A port can be taken where
# systemd comes without libbpf, as Bookworm's; nobody can connect to it, since to listen is denied.
MAY: dict[str, set[str]] = {
    "see": {"open the camera", "speak to tell as see", "send video", "open a netlink socket", "wait for connections", "start Python"},
    "tell": {"be in the machine's network", "connect to the broker", "open an IPv4 socket", "open an IPv6 socket",
             "open a netlink socket", "take a port", "read the broker's password", "write in /run/doorstep-tell", "start Python"},
    "keep": {"open the pins", "speak to tell as keep", "speak to see", "read the recordings", "write in /var/lib/doorstep",
             "write in /run/doorstep-keep", "wait for connections", "start Python"},
}
# Who is gone, and what the phone is told: of that, and when it is back.
TOLD = {"see": (("alert", "no camera at front door"), ("alert", "camera back at front door")),
        "tell": (("status", "offline"), ("status", "watching")),
        "keep": (("alert", "record button not working at front door"), ("alert", "record button works again at front door"))}
# A fault is told once in ten minutes, but by a `tell` that was started anew.
FAULTS = ((("tell",), "KILL"), (("see", "keep"), "KILL"), (("tell",), "STOP"), (("see", "keep"), "STOP"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Installed]:
    assert PREFIX is not None
    with Board(PREFIX, "-loadvm", SNAPSHOT) as board:
        yield Installed(board, str(OWNER.to_public()))


@pytest.fixture
def door(shared: Installed) -> Installed:
    """All well, and nothing moves."""
    shared.board.run(STILL)
    shared.until_well()
    return shared


def test_installed_it_watches_tells_over_tls_records_and_every_promise_is_seen_to_hold(door: Installed, tmp_path: Path) -> None:
    """What an owner gets who types one command, from the camera's node to the clip on another machine."""
    door.board.run("sleep 5")  # it learns the place
    began_s = door.do(MOVE)
    door.tells("alert", "motion at front door", began_s)
    door.board.run(STAND)
    door.board.press()
    door.board.until(door.board.lit, "the light to be on")
    door.tells("alert", "recording at front door", began_s)
    clip = f"{CLIPS}/clip-000001.ts.age"
    door.board.until(lambda: int(door.board.run(f"stat -c %s {clip} 2>/dev/null || echo 0")) > 20_000, "a clip to grow", every_s=1)
    assert door.board.lit()
    door.board.press()
    door.board.until(lambda: not door.board.lit(), "the light to be off")
    door.board.run(f"until [ -e {CLIPS}/clip-000001.statement ]; do sleep 0.5; done")
    video = opened(door.board.get(clip), tmp_path)
    probe = json.loads(subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", video], check=True,
                                      capture_output=True).stdout)["streams"]
    assert [(stream["codec_name"], stream["width"], stream["height"]) for stream in probe] == [("h264", 320, 180)]

    door.board.run("doorstep status")  # its exit status says that all is well
    said = json.loads(door.board.run("doorstep verify --json || true", most_s=SLOW_S))
    assert said["installed"]
    assert [row for row in said["rows"] if row["verdict"] != "holds"] == []
    assert len(said["rows"]) >= 46  # 31 of the door, 15 of its broker
    assert "tls" not in door.board.run(f"cat {TOML}"), "it is on unless it is turned off"


def test_each_denial_is_in_force(door: Installed) -> None:
    """A line in a unit that systemd, the kernel or a drop-in does not honour denies nothing."""
    door.board.run("python3 -", given=ALIAS.format(OTHER).encode())
    found = door.probe(OTHER)
    assert {what: why for what, why in found.pop("outside").items() if why} == {}, "what fails outside too shows nothing"
    assert {name: {what for what, why in tried.items() if not why} for name, tried in found.items()} == MAY
    door.until_well()


def test_what_dies_or_hangs_is_told_and_comes_back_while_the_others_go_on(door: Installed) -> None:
    """Nobody looks at a door camera for weeks; it has to say itself that it is blind, and mend it."""
    for names, signal in FAULTS:
        before = {name: door.pid(name) for name in NAMES}
        began_s = door.do(f"kill -{signal} " + " ".join(str(before[name]) for name in names))
        after_s = {name: door.tells(*TOLD[name][0], began_s) for name in names}
        for name in names:
            door.tells(*TOLD[name][1], began_s + after_s[name])
        door.until_well()
        assert {name for name in NAMES if door.pid(name) != before[name]} == set(names)
        print(f"SIG{signal}: told after", after_s)
        assert max(after_s.values()) < 20  # at most 8 were measured, with a processor that others kept busy


def test_a_camera_that_is_pulled_out_or_gives_no_frames_is_told_and_watches_again(door: Installed) -> None:
    """Pulling the plug is what somebody does who does not want to be seen; a driver that hangs does it unasked."""
    began_s = door.do(f"echo vivid.0 > {VIVID}/unbind")
    door.tells("status", "no camera", began_s)
    door.board.run(f"sleep 2; [ -e /dev/video0 ] || echo vivid.0 > {VIVID}/bind; udevadm settle; {STILL}")
    door.tells("status", "watching", began_s)
    door.until_well()

    before = door.pid("see")
    began_s = door.do("v4l2-ctl -d /dev/video0 -c percentage_of_dropped_buffers=100")
    door.tells("status", "no camera", began_s)
    door.board.until(lambda: door.pid("see") not in (0, before), "see to be started afresh", SLOW_S, every_s=1)
    door.board.run("v4l2-ctl -d /dev/video0 -c percentage_of_dropped_buffers=0")
    door.tells("status", "watching", began_s)


@pytest.mark.parametrize(("spoil", "mend"), [
    ("cat /dev/zero > /run/full", "rm /run/full"),
    ("sync; echo u > /proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do sleep 0.2; done", "mount -o remount,rw /"),
], ids=["a full run", "a disk gone read-only"])
def test_no_disk_and_no_memory_do_not_blind_it(door: Installed, spoil: str, mend: str) -> None:
    """An SD card that wears out goes read-only; the door goes on telling, even if everything is started anew."""
    door.board.run("sleep 5")  # it learns the place
    began_s = door.do(f"({spoil}) 2> /dev/null; {MOVE}")
    door.tells("alert", "motion at front door", began_s)
    door.board.run(STAND)
    before = {name: door.pid(name) for name in NAMES}
    again_s = door.do("kill -9 $(pidof mosquitto) " + " ".join(map(str, before.values())))
    door.board.until(lambda: all(door.pid(name) not in (0, before[name]) for name in NAMES), "all to be started anew", SLOW_S, every_s=1)
    door.until_well("see", "tell")
    if "remount" in mend:
        door.board.until(lambda: "recording failed at front door" in [what for _, _, what in door.told(again_s)] or door.board.press(),
                         "a press that leads to nothing to be told", every_s=5)
    door.board.run(mend)
    door.until_well()


def edited(door: Installed, unit: str, typed: str) -> None:
    """`systemctl edit`, as an owner does it: in a terminal, with an editor."""
    door.board.put("/mnt/typed", f"{typed}\n")
    door.board.put("/mnt/editor", '#!/bin/sh\ncat /mnt/typed > "$1"\n')
    door.board.run("chmod 755 /mnt/editor")
    door.board.run("SYSTEMD_EDITOR=/mnt/editor python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "
                   f"systemctl edit {unit}")


def test_what_the_documents_have_edited_in_a_unit_is_taken(door: Installed) -> None:
    """Clips on a disk of their own, and a broker for many doors: what was denied before is let through, and no more."""
    edited(door, "mosquitto", "[Service]\nLimitNOFILE=8192")
    assert door.board.run("systemctl show -P LimitNOFILE mosquitto").strip() == "8192"
    folder = "/var/lib/clips"
    door.board.run(f"install -d -m 700 -o $(stat -c %U {CLIPS}) {folder} && sed -i 's|^panel = .*|&\\nfolder = \"{folder}\"|' {TOML} && "
                   "systemctl restart doorstep-keep")
    try:
        door.board.until(lambda: not door.is_well("keep"), "keep to say that it cannot write there", SLOW_S, every_s=1)
        edited(door, "doorstep-keep", f"[Service]\nReadWritePaths={folder}")
        door.board.run("systemctl restart doorstep-keep")
        door.until_well()
        door.board.press()
        door.board.until(door.board.lit, "the light to be on", SLOW_S)
        door.board.run("sleep 5")
        door.board.press()
        door.board.run(f"until ls {folder}/clips/*.statement; do sleep 0.5; done", most_s=SLOW_S)
    finally:
        door.board.run(f"sed -i '/^folder = /d' {TOML}; rm -rf {folder} /etc/systemd/system/doorstep-keep.service.d "
                       "/etc/systemd/system/mosquitto.service.d/override.conf; systemctl daemon-reload; systemctl restart doorstep.target")
        door.until_well()


def test_again_it_changes_nothing_and_uninstalled_it_leaves_configuration_and_recordings(door: Installed) -> None:
    """Trying it out must cost nobody his machine, and an upgrade nobody his recordings."""
    before = door.contents()
    assert any(TOML in line for line in before)
    door.install()
    assert door.contents() == before
    door.until_well()
    door.board.run("cd /src && deploy/install.sh --uninstall", most_s=SLOW_S)
    after = door.files()
    assert TOML in after
    assert f"{CLIPS}/device.pub" in after
    assert {path for path in after - door.before if not path.startswith(("/etc/doorstep", "/var/lib/doorstep"))} == set()
    assert {path for path in door.before - after if not path.startswith("/opt/doorstep")} == set()  # which was made beforehand here
    assert door.board.run("getent passwd | grep doorstep- || true; ls /run | grep doorstep || true; find /etc/doorstep /var/lib/doorstep "
                          "-nouser -o -nogroup; systemctl list-units --plain --no-legend 'doorstep*'") == ""
