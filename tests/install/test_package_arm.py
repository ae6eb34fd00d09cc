"""The package for the Pi's processor: in a clean Debian of that processor it comes, loads, sees, tells, records, and goes.

Rule 1: every program there runs emulated, on this machine's kernel; what is compared was made by this machine's own.
Rule 2: the emulator can install no filter of calls: who must be confined refuses to start. So what each calls is written down
by the emulator, while it runs unconfined, and held against its list.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from device.sandbox_calls import Role, allowed
from device.see.porch import DEMO, Porch
from tests.clips import LENGTH_S, PICTURES_PER_S, Clips, video
from tests.install.conftest import PREFIX
from tests.install.machine import Machine
from tests.install.test_install import OWNER
from tests.install.test_package import APT, PINNED, bring
from tests.install.unconfined import CALLS, MARK
from tests.rig import Mosquitto, Phone, doorstep, plain, until

TREE = "bookworm-arm64"
PYTHON = "/opt/doorstep/bin/python"
UNITS = ("doorstep.target", "doorstep-see.service", "doorstep-tell.service", "doorstep-keep.service")
# Loads each compiled file below the venv and each library's own modules; says each library's name.
LOADS = """
import importlib, importlib.metadata, pathlib, sysconfig
place = pathlib.Path(sysconfig.get_path("purelib"))
for path in sorted(place.rglob("*.so")):
    if not path.parent.name.endswith(".libs"):
        importlib.import_module(".".join(path.relative_to(place).parts).split(".cpython-")[0].split(".abi3")[0].removesuffix(".so"))
for library in importlib.metadata.distributions(path=[str(place)]):
    for name in {file.parts[0] for file in library.files if file.name == "__init__.py" and len(file.parts) == 2}:
        importlib.import_module(name)
    print(library.name.lower())
"""
# The venv's program makes a clip, as this machine's does below; the maker is a test's.
RECORDS = """
import pathlib, sys
sys.path.append("/src")
from tests.clips import Clips, video
import device
made = Clips(pathlib.Path("/root/there"))
made.record(1, video())
print(made.owner, device.__file__)
"""


def runs() -> bool:
    """Whether there is such a tree, and whether its programs run."""
    if PREFIX is None or not (PREFIX / TREE).exists():
        return False
    return subprocess.run(["chroot", PREFIX / TREE, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not runs(), reason="no arm64 programs run here; try: sudo make test-arm")


@pytest.fixture
def pi() -> Iterator[Machine]:
    assert PREFIX is not None
    with Machine(PREFIX, TREE) as machine:
        yield machine


def write_porch(path: Path) -> Path:
    """40 seconds of the drawn porch, lossless, with four visitors."""
    porch, picture = Porch(DEMO), np.full((180, 160), 128, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 120, "yuv420p", {"qp": "0", "preset": "ultrafast"}
        for number in range(400):
            picture[:120] = porch.frame(number).luma
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def told(said: str) -> list[tuple[object, ...]]:
    """Every event with its frame and every second with its reason."""
    return [(row["event"], row.get("frame"), row.get("t_s"), row.get("reason")) for row in map(json.loads, said.splitlines())]


def it_sees_the_same(pi: Machine) -> None:
    stored = write_porch(pi.tree / "root/porch.mkv")
    here = told(doorstep("replay", "--json", "--explain", stored).stdout)
    assert sum(row[0] == "motion_started" for row in here) == 4
    assert told(pi.run("doorstep", "replay", "--json", "--explain", "/root/porch.mkv")) == here


def clips_go_both_ways(pi: Machine, tmp_path: Path) -> None:
    here = Clips(pi.tree / "root/here")
    here.record(1, video())
    assert here.identity() == pi.tree / "root/identity.txt"
    assert "1 whole and unaltered" in pi.run("doorstep", "clips", "verify", "/root/here")
    pi.run("sh", "-c", "doorstep clips open 1 /root/here --identity /root/identity.txt -o - > /root/opened.ts")
    assert hashlib.sha256((pi.tree / "root/opened.ts").read_bytes()).digest() == hashlib.sha256(video()).digest()
    pi.run("doorstep", "clips", "open", "1", "/root/here", "--identity", "/root/identity.txt", "-o", "/root/visit.mp4")
    with av.open(str(pi.tree / "root/visit.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == LENGTH_S * PICTURES_PER_S

    owner, program = pi.run(PYTHON, "-P", "-c", RECORDS).split()
    assert program.startswith("/opt/doorstep/")
    there = pi.tree / "root/there"
    assert "1 whole and unaltered" in doorstep("clips", "verify", there).stdout
    (tmp_path / "identity.txt").write_text(f"{owner}\n")
    done = doorstep("clips", "open", "1", there, "--identity", tmp_path / "identity.txt", "-o", tmp_path / "visit.mp4")
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "visit.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == LENGTH_S * PICTURES_PER_S


def press(house: subprocess.Popen[bytes], key: bytes) -> None:
    assert house.stdin is not None
    house.stdin.write(key)
    house.stdin.flush()


def it_calls_nothing_that_is_not_listed(pi: Machine, tmp_path: Path) -> None:
    """A visitor, an alert, a recording: what the libraries for this processor ask of the kernel meanwhile.

    On an owner's Pi another call is denied, and seen there first.
    """
    libraries = pi.run(PYTHON, "-P", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    clips = pi.tree / "root/.local/state/doorstep/front-door/clips"
    with Mosquitto(tmp_path) as broker, Phone(broker.port) as phone:
        (pi.tree / "root/door.toml").write_text(
            f'[camera]\nsource = "porch"\nframes_per_s = 5\n[recording]\nrecipients = ["{OWNER}"]\n' + plain(broker.port))
        with pi.begin("env", "--chdir=/", f"PYTHONPATH={libraries}:/src", "QEMU_STRACE=1", f"QEMU_LOG_FILENAME={CALLS}%d", "script", "-qefc",
                      f"{PYTHON} -m tests.install.unconfined run --config /root/door.toml", "/dev/null") as house:
            try:
                phone.wait("alert", "motion at front door", 120)
                press(house, b"r")
                until(lambda: any(clip.stat().st_size > 100_000 for clip in clips.glob("*.age")), "a clip to grow", 120)
                press(house, b"r")
                phone.wait("recording", "OFF", 60)
                press(house, b"\x03")
                house.wait(60)
            finally:
                house.kill()
    assert "1 whole and unaltered" in doorstep("clips", "verify", clips).stdout
    roles = set()
    for path in (pi.tree / CALLS.lstrip("/")).parent.glob("calls.*"):
        _, mark, after = path.read_text(errors="replace").partition(MARK)
        if mark:
            role = Role[after[:after.index('"')]]
            roles.add(role)
            asked = set(re.findall(r"^\d+ (\w+)\(", after, re.MULTILINE))
            assert asked - {call.name for call in allowed(role, 1)} == set(), role
            assert {"clock_gettime", "sendto"} <= asked  # that it was looked at at all
    assert roles == {Role.SEE, Role.TELL, Role.KEEP}


def test_it_comes_loads_sees_tells_records_and_goes(pi: Machine, tmp_path: Path) -> None:
    """It is what owners install, on a processor that whoever changes it does not have."""
    before, accounts = pi.files(), pi.run("getent", "passwd")
    assert pi.run("uname", "-m").strip() == "aarch64"
    bring(pi, "arm64")
    assert pi.run("doorstep", "--version").startswith("doorstep ")
    assert "usage: doorstep" in pi.run("doorstep", "--help")
    assert {name.lower() for name, _ in PINNED} <= set(pi.run(PYTHON, "-P", "-c", LOADS).split())
    assert pi.run(PYTHON, "-P", "-c", "import numpy; print(numpy.__file__)").startswith("/usr/lib/python3/dist-packages/")
    it_sees_the_same(pi)
    clips_go_both_ways(pi, tmp_path)
    it_calls_nothing_that_is_not_listed(pi, tmp_path)

    pi.run("doorstep-configure", "--broker", "localhost", "--place", "back door", "--recipient", OWNER)
    assert "all right" in pi.run("doorstep", "config", "check", "/etc/doorstep/doorstep.toml")
    for unit in UNITS:  # the calls in them are this processor's
        assert pi.run("systemd-analyze", "verify", unit) == ""
    toml = pi.tree / "etc/doorstep/doorstep.toml"
    toml.write_text(toml.read_text() + '\n[camera]\nsource = "porch"\n')
    assert "error: a power cannot be given up: " in pi.run("doorstep", "see", status=2)

    pi.run(*APT, "remove", "doorstep")
    assert not (pi.tree / "opt/doorstep").exists()
    assert toml.exists()
    pi.run(*APT, "purge", "doorstep")
    assert pi.run("getent", "passwd") == accounts
    assert {name for name in pi.files() - before if "doorstep" in name and not name.startswith("var/tmp/")} == set()
