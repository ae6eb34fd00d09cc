"""The product as deploy/install.sh installs it, on the virtual board: the units as shipped, a broker with TLS, a phone.

Rule 1: install.sh itself does it; apt and pip alone are stood in for, since the board has no network.
Rule 2: what a board needs beside the units is in SETTINGS and DROP_IN, each with its reason, and loosens nothing.
Rule 3: what the tests themselves write lies in memory of their own, so that a full /run or a dead disk is the product's.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
import tomllib
from collections.abc import Iterator

from device.status import GOOD
from tests.board.rig import ROOT, SITE, Board

NAMES = ("see", "tell", "keep")
SLOW_S = 300.0  # Python starts 15 times slower there; what is waited for is mostly that
TOML, PORT = "/etc/doorstep/doorstep.toml", 8883
OURS = "/mnt"  # no unit can see it

APT = "#!/bin/sh\necho '  Candidate: (none)'\n"  # all that is needed is in the image
PIP = f"""#!/bin/sh
case "$*" in *lock.txt*) exit 0;; esac  # the libraries are in the image
cp -r /src/device /src/broker {SITE}/
printf '#!/opt/doorstep/bin/python\\nimport sys\\nfrom device.cli import main\\nsys.exit(main())\\n' > /opt/doorstep/bin/doorstep
chmod 755 /opt/doorstep/bin/doorstep
/opt/doorstep/bin/python -m compileall -q {SITE}/device {SITE}/broker
"""
# What an emulated processor can encode and look at.
SETTINGS = """
panel = "gpio"
width_px = 320
height_px = 180
bitrate_mbit = 0.5

[camera]
source = "v4l2"
device = "/dev/video0"
frames_per_s = 5
"""
# Where gpiozero finds which board this is: a file of board-up's over the kernel's, which the unit's own /proc hides.
DROP_IN = "[Service]\nBindReadOnlyPaths=/run/cpuinfo:/proc/cpuinfo\n"


class Installed:
    """Doorstep, installed and well; its owner's phone listens."""

    def __init__(self, board: Board, recipient: str) -> None:
        self.board = board
        self._put_source()
        board.run(f"mount -t tmpfs none {OURS}; echo '127.0.1.1 board.local' >> /etc/hosts")  # what mDNS says on a real one
        for path, text in (("/usr/local/sbin/apt-get", APT), ("/usr/local/sbin/apt-cache", APT), ("/opt/doorstep/bin/pip", PIP)):
            board.put(path, text)
            board.run(f"chmod 755 {path}")
        self.drop_in("keep", "board", DROP_IN)
        self.before = self.files()
        self.install("--recipient", recipient)
        board.run(f"cat >> {TOML} && systemctl restart doorstep.target", SETTINGS.encode())
        self.pair()
        self.until_well()

    def _put_source(self) -> None:
        """Put the checkout there, as git has it."""
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "device", "broker",
                                "deploy", "pyproject.toml"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            for name in filter(None, names.split("\0")):
                tar.add(ROOT / name, name)
        self.board.run(f"rm -rf {SITE}/device {SITE}/broker; mkdir -p /src && tar -xzf - --no-same-owner -C /src", packed.getvalue())

    def install(self, *options: str) -> str:
        return self.board.run(f"cd /src && deploy/install.sh {' '.join(options)} 2>&1", most_s=SLOW_S)

    def pair(self) -> None:
        """Pair a phone, and have it write down what it is told, and when."""
        folder = "/etc/doorstep/broker/phones/anna"
        self.board.run("doorstep broker phone add anna > /dev/null", most_s=SLOW_S)
        paper = tomllib.loads(self.board.get(f"{folder}/settings.toml").decode())
        topics = " ".join(f"-t {topic}" for topic in paper["topics"])
        self.board.run(f"cp {folder}/ca.crt {OURS}/")
        words = (f"-h localhost -p {PORT} --cafile {OURS}/ca.crt -u {paper['user']} -P {paper['password']} -i {paper['user']} "
                 f"-c -q 1 -F '%U %t %p' {topics}")
        self.board.start(f"while :; do mosquitto_sub {words}; sleep 1; done >> {OURS}/phone")  # it gives up with the broker

    def drop_in(self, name: str, what: str, text: str) -> None:
        """Add to the unit of `name`, in memory: it is no file of the installation's."""
        folder = f"/run/systemd/system/doorstep-{name}.service.d"
        self.board.run(f"mkdir -p {folder} && cat > {folder}/{what}.conf && systemctl daemon-reload", text.encode())

    def told(self, since_s: float = 0.0) -> Iterator[tuple[float, str, str]]:
        """What the phone was told since then: when, by the board's clock, on which topic's leaf, and what."""
        for line in self.board.run(f"grep ^[0-9] {OURS}/phone || true").splitlines():
            at_s, topic, payload = line.split(" ", 2)
            if float(at_s) >= since_s:
                yield float(at_s) - since_s, topic.rpartition("/")[2], payload

    def tells(self, leaf: str, payload: str, since_s: float, most_s: float = SLOW_S) -> float:
        """Wait until the phone has been told that; return after how long it was."""
        found: list[float] = []

        def has() -> bool:
            found.extend(at_s for at_s, *what in self.told(since_s) if what == [leaf, payload])
            return bool(found)

        self.board.until(has, f"{leaf} {payload!r}", most_s, every_s=1)
        return found[0]

    def do(self, command: str) -> float:
        """Run it; return when it was begun, by the board's clock."""
        return float(self.board.run(f"date +%s.%N; {command}").split()[0])

    def files(self) -> set[str]:
        """Every file of the system, papers of its own aside."""
        skipped = " -o ".join(f"-path {path}" for path in (
            "/proc", "/sys", "/dev", "/run", "/tmp", "/src", OURS, "/var/log", "/var/cache", "/var/lib/systemd", "/var/lib/private",
            "/var/lib/mosquitto", "/var/tmp", "/root"))
        return set(self.board.run(f"find / \\( {skipped} -o -name __pycache__ \\) -prune -o -print").splitlines())

    def contents(self) -> list[str]:
        """What is in each file that an installation writes, and whose it is."""
        found = self.board.run("find /etc /opt/doorstep /usr/local /var/lib/doorstep \\( -name site-packages -o -name __pycache__ \\) -prune -o "
                               "-type f -printf '%p %u %g %m\\n' -exec sha256sum {} +", most_s=SLOW_S)
        return sorted(found.splitlines())

    def show(self, name: str, what: str) -> str:
        return self.board.run(f"systemctl show -P {what} doorstep-{name}.service").strip()

    def pid(self, name: str) -> int:
        return int(self.show(name, "MainPID"))

    def is_well(self, *names: str) -> bool:
        """Whether these, or all, say that they are; asked without Python, which would cost them half of the processor."""
        said = self.board.run("systemctl show -p Id,ActiveState,StatusText " + " ".join(f"doorstep-{name}" for name in names or NAMES))
        units = [dict(line.split("=", 1) for line in unit.splitlines()) for unit in said.strip().split("\n\n")]
        return all(unit["ActiveState"] == "active" and GOOD.match(unit["StatusText"]) for unit in units)

    def until_well(self, *names: str) -> None:
        end_s = time.monotonic() + SLOW_S
        while not self.is_well(*names):
            assert time.monotonic() < end_s, self.log()
            time.sleep(1)

    def log(self) -> str:
        return self.board.run("journalctl --namespace=doorstep --no-pager -o cat | tail -60; systemctl --no-pager status 'doorstep*' mosquitto || true")

    def probe(self, other: str) -> dict[str, dict[str, str]]:
        """Try every power within each unit, in the place of its process, and outside of all; `other` is another machine.

        Return why each did not work, or nothing where it did.
        """
        self.board.put("/opt/doorstep/probe.py", (ROOT / "tests/board/probe.py").read_text())
        network = self.board.run("readlink /proc/self/ns/net").strip()
        command = f"/opt/doorstep/bin/python /opt/doorstep/probe.py {PORT} {other} {network}"
        outside = self.board.run(command, most_s=SLOW_S)
        for name in NAMES:
            self.drop_in(name, "probe", f"[Service]\nExecStart=\nExecStart={command}\nStandardOutput=truncate:{OURS}/{name}\n")
        inside = self.board.run(f"systemctl restart doorstep-{{{','.join(NAMES)}}} && for name in {' '.join(NAMES)}; do cat {OURS}/$name; echo; done",
                                most_s=SLOW_S)
        self.board.run("rm /run/systemd/system/doorstep-*.service.d/probe.conf /opt/doorstep/probe.py && systemctl daemon-reload && "
                       "systemctl restart doorstep.target")
        return dict(zip(("outside", *NAMES), map(json.loads, (outside, *inside.splitlines())), strict=True))
