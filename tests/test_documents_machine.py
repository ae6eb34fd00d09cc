"""What the documents have typed at a machine that is set up by it: run there as it stands, in their order.

Rule 1: the machine is the test's own (tests/own_machine.py); on it nothing is stood in for but sudo and a running systemd.
Rule 2: where systemd would start a unit, what that unit says is started, by who it says.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import plain
from tests.own_machine import ADDRESS, OwnMachine

BOOKS = "/etc/doorstep/broker"
# A line, and words that must come of it. What goes on is stopped in the end.
BROKER = {
    "doorstep broker setup --dir ~/broker --host localhost --dry-run": "nothing was written",
    f"sudo doorstep broker setup --host broker.lan --host {ADDRESS}": "written  /etc/doorstep/broker/mosquitto.conf",
    f"sudo -u mosquitto mosquitto -v -c {BOOKS}/mosquitto.conf": "running",
    "sudo mkdir -p /etc/systemd/system/mosquitto.service.d": "",
    "sudo cp deploy/mosquitto-doorstep.conf /etc/systemd/system/mosquitto.service.d/doorstep.conf": "",
    "sudo systemctl daemon-reload && sudo systemctl restart mosquitto": "",
    "sudo doorstep broker check": "ok    Mosquitto: runs with this configuration",
    "sudo doorstep broker device add front-door": f"carry {BOOKS}/devices/front-door to the door",
    "doorstep broker device list": "front-door\n",
    "sudo doorstep broker phone add anna": 'topics = ["doorstep/front-door/alert"',
    "doorstep broker phone add neighbour --door garden-gate --language fr": "garden-gate",
    "doorstep broker phone list": "anna: front-door",
    "doorstep broker setup --language de": "written",
    "sudo doorstep broker setup --home-assistant": "home-assistant/settings.toml",
    "sudo doorstep broker phone add relay": "reloaded",
    "sudo install -m 600 /dev/null /etc/doorstep/ntfy.toml": "",
    'sudoedit /etc/doorstep/ntfy.toml        # url = "https://ntfy.example/a-long-random-topic"': "",
    "sudo cp deploy/doorstep-ntfy.service /etc/systemd/system/": "",
    "sudo systemctl enable --now doorstep-ntfy": "connected to broker.lan",
}
DOOR = {
    "chmod 600 password": "",
    "systemd-socket-activate --datagram -l /run/doorstep/tell.sock doorstep tell": "Listening on /run/doorstep/tell.sock",
    "systemd-socket-activate --seqpacket -l /run/doorstep/video.sock doorstep keep": "Listening on /run/doorstep/video.sock",
    "doorstep see --config /etc/doorstep/doorstep.toml": "watching at 160 x 120",
}
AFTER = {
    "doorstep broker ntfy --phone /etc/doorstep/broker/phones/relay --to ntfy.toml": "connected to broker.lan",
    "doorstep broker phone remove anna": "reloaded",
    "doorstep broker device remove front-door": "reloaded",
    "doorstep broker renew": "the certificate is good until",
    "systemctl enable --now doorstep-broker-renew.timer": "the certificate is good until",
}
COOP = {
    "sudo doorstep broker setup --host broker.coop.example --connections 2500": "written",
    "sudo doorstep broker device add flat-1": "no Mosquitto runs",
    "sudo doorstep broker phone add flat-1 --door flat-1": "doorstep/flat-1/alert",
}
CHECKOUT = {
    ". .venv/bin/activate": "",
    "doorstep config example > doorstep.toml": "",
    "doorstep config check doorstep.toml": "all right",
    "doorstep run --config doorstep.toml": "watching at 160 x 120",
    "doorstep verify --pid 1234": "",
    "sudo doorstep verify": "",
}
# Nobody's camera may be looked through unasked, so here is none; with one: tests/board/test_webcam.py, tests/camera.
BLIND = {"doorstep demo --source auto": "no camera found"}
RUN = {plain(line) for scene in (BROKER, DOOR, AFTER, COOP, CHECKOUT, BLIND) for line in scene}
AHEAD = {"doorstep broker phone add neighbour --door garden-gate --language fr": "doorstep broker device add garden-gate",
         "doorstep broker ntfy --phone /etc/doorstep/broker/phones/relay --to ntfy.toml": "cp /etc/doorstep/ntfy.toml .",
         "systemctl enable --now doorstep-broker-renew.timer": "cp deploy/doorstep-broker-renew.* /etc/systemd/system"}
GOES_ON = re.compile(r"mosquitto -v|doorstep (broker ntfy|see|run)|systemd-socket-activate")
STARTS = {"systemctl daemon-reload && systemctl restart mosquitto": "mosquitto.service.d/doorstep.conf",
          "systemctl enable --now doorstep-ntfy": "doorstep-ntfy.service",
          "systemctl enable --now doorstep-broker-renew.timer": "doorstep-broker-renew.service"}
PORCH = '[camera]\nsource = "porch"\n[recording]\npanel = "none"\n'  # nothing of the machine that this runs on


def started(machine: OwnMachine, unit: str, words: str) -> int:
    """Start what a unit in /etc says, as who it says, with the credentials it says."""
    settings = re.findall(r"^(\w+)=(.+)$", machine.run(f"cat /etc/systemd/system/{unit}"), re.MULTILINE)
    command = dict(settings)["ExecStart"].replace("/opt/doorstep/bin/", "").replace("%d", "/run/credentials")
    for name, path in [value.split(":") for key, value in settings if key == "LoadCredential"]:
        machine.run(f"install -D -m 600 {path} /run/credentials/{name}")
    user = dict(settings).get("User", "root")
    pid = machine.start(f"sudo -u {user} {command}", words)
    if "mosquitto.conf" in command:  # which says nothing
        machine.run("until ss -ltn | grep -q ':8883 '; do sleep 0.05; done")
    return pid


def play(machine: OwnMachine, scene: dict[str, str], folder: str = ".") -> dict[str, int]:
    """Run line after line; return what goes on, and its process id."""
    going = {}
    for line, words in scene.items():
        bare = plain(line)
        if bare in AHEAD:
            machine.run(AHEAD[bare])
        if bare in STARTS:
            if "enable" in bare:  # what it is without a running systemd: all but its --now
                said = machine.run(f"SYSTEMD_OFFLINE=1 {bare.replace('--now ', '')}")
                assert "Created symlink /etc/systemd/system/" in said, said
            going[bare] = started(machine, STARTS[bare], words)
        elif GOES_ON.match(bare):
            going[bare] = machine.start(line, words)
        else:
            said = machine.run(f"cd {folder} && {line}", typed=line.partition("  # ")[2])
            assert words in said, f"{line}: {words!r} in {said}"
    return going


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OwnMachine]:
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("systemd is missing; try: sudo apt install systemd")
    if subprocess.run([*OwnMachine.NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel gives this user no namespaces of its own; try: sudo make test")
    with OwnMachine(tmp_path) as machine:
        yield machine


def phone(machine: OwnMachine) -> str:
    """The words for a client that nobody here wrote, from a phone's papers; a password is on no disk of this machine's."""
    papers = tomllib.loads(machine.run(f"cat {BOOKS}/phones/anna/settings.toml"))
    words = ["stdbuf", "-oL", "mosquitto_sub", "-h", papers["host"], "-p", str(papers["port"]), "--cafile", f"{BOOKS}/phones/anna/{papers['ca_file']}",
             "-u", papers["user"], "-P", papers["password"], "-i", papers["client_id"], "-t", "doorstep/front-door/alert", "-d"]
    return shlex.join(words)


def test_the_guide_to_the_broker_sets_one_up_and_a_door_that_is_started_by_hand_tells_the_phone(machine: OwnMachine) -> None:
    """From an empty machine to words on a phone, by nothing but what is written down."""
    going = play(machine, dict(list(BROKER.items())[:3]))
    machine.stop(going.popitem()[1])
    going = play(machine, dict(list(BROKER.items())[3:]))
    machine.stop(going.pop("systemctl enable --now doorstep-ntfy"))
    anna = machine.start(phone(machine), "SUBACK")
    # "Carry devices/front-door to the door, complete its doorstep.toml"; here the drawn porch is the camera.
    machine.run(f"cp {BOOKS}/devices/front-door/* /etc/doorstep && printf %s {shlex.quote(PORCH)} >> /etc/doorstep/doorstep.toml")
    door = play(machine, DOOR, "/etc/doorstep")
    machine.says(anna, "motion at front door")
    see, tell, keep = (next(pid for line, pid in door.items() if line.split()[place] == name)
                       for name, place in (("see", 1), ("tell", -1), ("keep", -1)))
    machine.says(tell, "connected to broker.lan")
    machine.run("python -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(\"/run/doorstep/video.sock\")'")
    machine.says(keep, "doorstep keep: ")
    for pid in (see, tell, keep):
        machine.stop(pid)
    machine.stop(anna, allowed=(0, 143))
    for pid in play(machine, AFTER).values():
        machine.stop(pid)


def test_the_coop_s_guide_makes_a_broker_for_many_doors(machine: OwnMachine) -> None:
    """Each flat hears of its own door alone."""
    assert play(machine, COOP) == {}
    assert "max_connections 2500" in machine.run(f"cat {BOOKS}/mosquitto.conf")


def test_a_checkout_watches_and_is_verified_by_what_the_readme_says(machine: OwnMachine) -> None:
    """With no broker named it starts one of its own, which is here to this machine what it is to its owner's."""
    first, *lines = CHECKOUT
    for line in lines[:2]:
        assert CHECKOUT[line] in machine.run(f"{first}; {line}")
    toml = machine.folder / "doorstep.toml"
    toml.write_text(toml.read_text().replace('source = "auto"', 'source = "porch"').replace('panel = "auto"', 'panel = "none"'))
    pid = machine.start(lines[2], CHECKOUT[lines[2]])
    for line in lines[3:]:
        said = machine.run(line.replace("1234", str(pid)), allowed=(0, 1))  # 1: what only root may see could not be looked at
        assert " 0 broken, " in said, said
    machine.stop(pid)


def test_the_demo_looks_for_the_camera_at_hand(machine: OwnMachine) -> None:
    """Where there is none it says so, and what to do."""
    (line, words), = BLIND.items()
    assert words in machine.run(line, allowed=(2,))
