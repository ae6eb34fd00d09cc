"""A clean Debian in a folder, on which commands run as on a machine of its own; it can be started, with a real systemd.

Rule 1: what is tried is a copy, with the project in it as it is now; it is removed in the end.
Rule 2: what was started is stopped, by its process id.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.rig import until

ROOT = Path(__file__).parent.parent.parent
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit")
# apt's, dpkg's and account tools' own papers, and what Python compiles for itself.
PAPERS = ("var/cache", "var/log", "var/lib/apt", "var/lib/dpkg", "var/lib/systemd", "etc/ld.so.cache", "etc/machine-id",
          "etc/resolv.conf", "src", "proc", "sys", "dev", "run", "tmp", "root", "etc/passwd-", "etc/group-", "etc/shadow-",
          "etc/gshadow-", "etc/.pwd.lock", "etc/subuid-", "etc/subgid-")


class Machine:
    """`with Machine(prefix, "bookworm") as machine:`; then machine.run("deploy/install.sh", ...)."""

    def __init__(self, prefix: Path, suite: str) -> None:
        self.tree = prefix / f"try-{suite}"
        if self.tree.exists():
            shutil.rmtree(self.tree)
        subprocess.run(["cp", "-a", "--reflink=auto", prefix / suite, self.tree], check=True)
        files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                               capture_output=True, check=True).stdout.split(b"\0")
        for name in map(os.fsdecode, files):
            if name and (ROOT / name).is_file():
                (self.tree / "src" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.tree / "src" / name)
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def run(self, *command: str, status: int | None = 0) -> str:
        """Run a command there; return what it said. It ends with `status`, or None: as it likes."""
        done = subprocess.run(self._words(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=1200)
        assert status in (None, done.returncode), f"{command}: {done.returncode}: {done.stdout}"
        # What nspawn says for itself of its own folder, where /run is no file system of its own.
        return re.sub(r"Attempted to remove disk file system under .*\n(\n)?", "", done.stdout)

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Begin a command there; what it reads is written to it."""
        return subprocess.Popen(self._words(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def _words(self, command: tuple[str, ...]) -> list[str]:
        own = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "TERM=dumb",
               "PIP_CERT=/etc/ssl/certs/ca-certificates.crt"]
        if self._running is None:
            return [*NSPAWN, "--pipe", "-D", str(self.tree), "--chdir=/src", *own, *command]
        return ["nsenter", "-t", self._first(), "-m", "-u", "-i", "-n", "-p", "-r", *own, *command]

    def _first(self) -> str:
        """The process id of its first process, on this machine."""
        assert self._running is not None
        assert self._running.poll() is None, "it has ended"
        return Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children").read_text().strip()

    def start(self) -> None:
        """Start it, with a network of its own that leads nowhere."""
        with (self.tree.parent / f"{self.tree.name}.log").open("wb") as log:
            self._running = subprocess.Popen([*NSPAWN, "--boot", "-D", self.tree, "--private-network", "--console=read-only"],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self._first() and self.run("systemctl", "is-system-running", status=None).strip() in ("running", "degraded"),
              lambda: f"{self.tree} to start; see {log.name}", 120)

    def files(self) -> set[str]:
        """The name of every file there is, papers aside."""
        return {str(path.relative_to(self.tree)) for path in self._walk(self.tree)}

    def _walk(self, folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if str(path.relative_to(self.tree)) in PAPERS or path.name == "__pycache__":
                continue
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from self._walk(path)

    def contents(self) -> dict[str, str]:
        """What is in each file below /etc, /opt and /usr/local, and whose it is."""
        found = {}
        for name in sorted(self.files()):
            path = self.tree / name
            if name.startswith(("etc/", "opt/", "usr/local/")) and path.is_file() and not path.is_symlink():
                seen = path.stat()
                found[name] = f"{hashlib.sha256(path.read_bytes()).hexdigest()} {seen.st_uid} {seen.st_gid} {seen.st_mode:o}"
        return found

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.terminate()  # asks it to shut down
            try:
                self._running.wait(30)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait(10)
        shutil.rmtree(self.tree)
