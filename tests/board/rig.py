"""The virtual board: started as its snapshot left it, with the project put in; commands, pins and processes in it.

Rule 1: every board begins the same: started, its pins and its webcam in place, nothing of the project running.
Rule 2: only one at a time (its disk is locked), and it is ended by its process id.
Rule 3: needs the standard library only, since setup.sh takes the snapshot with it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent
SITE = "/opt/doorstep/lib/python3.11/site-packages"
DOORSTEP = "/opt/doorstep/bin/python -m device"
BUTTON, LIGHT = 17, 27
PINS = "/sys/devices/platform/gpio-sim.0/gpiochip0"
PATIENCE_S = 120.0  # Python is 15 times slower there, and a busy machine makes it slower still


@dataclass(slots=True)
class Process:
    """A command running on the board."""

    board: Board
    pid: int
    status: int | None = None
    output: str = ""

    def ended(self) -> bool:
        """Whether it has; then `status` and `output` are known."""
        if self.status is None:
            answer = self.board.ask("guest-exec-status", pid=self.pid)
            if answer["exited"]:
                self.status = answer.get("exitcode", -answer.get("signal", 0))
                parts = (answer.get("out-data", ""), answer.get("err-data", ""))
                self.output = "".join(base64.b64decode(part).decode(errors="replace") for part in parts)
        return self.status is not None

    def wait(self, most_s: float = PATIENCE_S) -> Self:
        self.board.until(self.ended, f"process {self.pid} to end", most_s)
        return self


class Board:
    """`with Board(prefix) as board:`; then board.run("a shell's words")."""

    def __init__(self, prefix: Path, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="doorstep-board-")
        self.folder = Path(self._folder.name)
        self.machine = subprocess.Popen([prefix / "board", *options], cwd=self.folder, stdin=subprocess.DEVNULL)
        self._agent = socket.socket(socket.AF_UNIX)
        self._lines = self._agent.makefile("rb")
        try:
            self._connect(self._agent, "agent")
            self.until(self._answers, "the board's agent to answer", PATIENCE_S)
        except BaseException:
            self.close()
            raise

    def _connect(self, to: socket.socket, name: str) -> None:
        def connected() -> bool:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                to.connect(str(self.folder / name))
                return True
            return False

        self.until(connected, f"QEMU to open {name}", PATIENCE_S)

    def until(self, true: Any, what: str, most_s: float = PATIENCE_S, every_s: float = 0.1) -> None:
        """Wait until `true()`, at most so long; asking costs the board time that the product would have."""
        end_s = time.monotonic() + most_s
        while not true():
            assert self.machine.poll() is None, f"QEMU ended with {self.machine.returncode}"
            assert time.monotonic() < end_s, f"not within {most_s:g} s: {what}"
            time.sleep(every_s)

    def _answers(self) -> bool:
        """Whether the agent is there: it says our own number, after whatever it said to one before us."""
        number = time.monotonic_ns()
        self._agent.settimeout(2)
        try:
            self._agent.sendall(b"\xff" + json.dumps({"execute": "guest-sync", "arguments": {"id": number}}).encode() + b"\n")
            while json.loads(self._lines.readline()).get("return") != number:
                pass
        except TimeoutError:
            self._lines.close()
            self._lines = self._agent.makefile("rb")  # one that has timed out cannot be read again
            return False
        self._agent.settimeout(PATIENCE_S)
        return True

    def ask(self, execute: str, **arguments: Any) -> Any:
        """One question to QEMU's guest agent."""
        self._agent.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        assert "return" in answer, answer
        return answer["return"]

    def start(self, command: str, given: bytes = b"") -> Process:
        """Start a shell's command; `given` is its standard input."""
        answer = self.ask("guest-exec", path="/bin/bash", arg=["-c", command],
                          **{"input-data": base64.b64encode(given).decode(), "capture-output": True})
        return Process(self, answer["pid"])

    def run(self, command: str, given: bytes = b"", most_s: float = PATIENCE_S) -> str:
        """Run a command to its good end; return what it said."""
        process = self.start(command, given).wait(most_s)
        assert process.status == 0, f"{command}: exit status {process.status}: {process.output}"
        return process.output

    def put(self, path: str, data: str | bytes) -> None:
        self.run(f"cat > {path}", data.encode() if isinstance(data, str) else data)

    def put_project(self) -> None:
        """Put the project's packages where a wheel would."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            for package in ("device", "broker"):
                tar.add(ROOT / package, package, filter=lambda entry: None if "__pycache__" in entry.name else entry)
        self.run(f"tar -xzf - --no-same-owner -C {SITE}", packed.getvalue())

    def get(self, path: str) -> bytes:
        return base64.b64decode(self.run(f"base64 -w0 {path}"))

    def press(self, seconds: float = 0.2) -> None:
        """Pull the button's line down for so long by the board's own clock, as a finger does."""
        pull = f"{PINS}/sim_gpio{BUTTON}/pull"
        self.run(f"echo pull-down > {pull}; sleep {seconds}; echo pull-up > {pull}")

    def lit(self) -> bool:
        """Whether the light's line is high."""
        return self.run(f"cat {PINS}/sim_gpio{LIGHT}/value").strip() == "1"

    def blinks(self) -> int:
        """How often the light changes within five seconds of the board's own clock, however slow it is."""
        look = (f"end=$(($(date +%s%N) + 5000000000)); while [ $(date +%s%N) -lt $end ]; "
                f"do read -r now < {PINS}/sim_gpio{LIGHT}/value; echo -n $now; sleep 0.05; done")
        seen = self.run(look)
        return seen.count("01") + seen.count("10")

    def save(self, name: str) -> None:
        """Keep how it stands in its disk's file, and end it."""
        with socket.socket(socket.AF_UNIX) as monitor:
            self._connect(monitor, "monitor")
            monitor.sendall(f"savevm {name}\nquit\n".encode())
            while monitor.recv(4096):
                pass
        self.machine.wait(PATIENCE_S)

    def close(self) -> None:
        """Pull its plug."""
        self.machine.kill()
        self.machine.wait()
        self._lines.close()
        self._agent.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


SNAPSHOT = "ready"


def main(prefix: Path) -> None:
    """Start it from its disk, once, and take the snapshot that every test begins with."""
    began_s = time.monotonic()
    with Board(prefix) as board:
        board.run("systemctl is-system-running --wait || true; systemctl is-active board.service", most_s=2 * PATIENCE_S)
        print(f"started in {time.monotonic() - began_s:.0f} s:", board.run("ls /dev/gpiochip0 /dev/video0").replace("\n", " "))
        board.run("cd /run && /opt/doorstep/bin/python -c 'import av, cryptography, gpiozero, lgpio, numpy, pyrage; import paho.mqtt.client'; sync")
        board.save(SNAPSHOT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
