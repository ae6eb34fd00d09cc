"""`doorstep run` on the virtual board, with a Mosquitto and a phone there."""

from __future__ import annotations

from tests.board.rig import DOORSTEP, Board, Process

WEBCAM = '[camera]\nsource = "v4l2"\ndevice = "/dev/video0"\nframes_per_s = 5'
BROKER = '[broker]\nhost = "127.0.0.1"\nport = 1883\ntls = false'


class Door:
    """The whole product, watching; `toml` are further tables of its doorstep.toml."""

    def __init__(self, board: Board, *toml: str) -> None:
        self.board = board
        board.run("mkdir -p /run/doorstep")
        board.put("/run/doorstep/doorstep.toml", "\n".join([WEBCAM, BROKER, *toml, ""]))
        board.start("exec /usr/sbin/mosquitto -p 1883")  # without a configuration it listens to this machine only
        board.run("for i in $(seq 300); do mosquitto_pub -t up -n && exit 0; sleep 0.2; done; exit 1")
        board.start("exec mosquitto_sub -v -q 1 -t 'doorstep/#' > /run/doorstep/phone")
        self.process: Process = board.start(
            f"cd /run/doorstep && RUNTIME_DIRECTORY=$PWD PYTHONWARNINGS=error exec {DOORSTEP} run > log 2>&1")

    def said(self, leaf: str) -> list[str]:
        """What the phone was told on the topic that ends in `leaf`, oldest first."""
        lines = self.board.run("cat /run/doorstep/phone").splitlines()
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0].endswith("/" + leaf)]

    def says(self, leaf: str, payload: str) -> None:
        """Wait until that is the latest that the phone was told on that topic."""
        def told() -> bool:
            assert not self.process.ended(), self.log()
            return self.said(leaf)[-1:] == [payload]

        self.board.until(told, f"{leaf} {payload!r}", every_s=0.5)

    def log(self) -> str:
        return self.board.run("cat /run/doorstep/log")

    def stop(self) -> int | None:
        """Ask it to end; return its exit status."""
        self.board.run(f"kill {self.process.pid}")
        return self.process.wait().status
