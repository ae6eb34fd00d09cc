"""A machine of one's own to type at: its own /etc, /run, /dev/shm, processes and network, and nobody else's are seen.

Rule 1: it is made of the kernel's namespaces, so that an ordinary user can have one, and nothing outside it is changed.
Rule 2: it ends with all that was started on it, when its first process does.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.documents import ROOT
from tests.rig import environment, until

# Of /etc what programs need to run at all: no key and no password of the machine that this runs on is among it.
NEEDED = "alternatives group host.conf ld.so.cache localtime nsswitch.conf passwd ssl/certs ssl/openssl.cnf"
ADDRESS = "192.168.1.5"  # the documents'
HOSTS = f"127.0.0.1 localhost\n{ADDRESS} broker.lan broker.coop.example\n"
# The folder, and who is at it. Swap and cameras would be those of the machine that this runs on, and are none of the documents'.
MAKE = f"""
mount -n -t tmpfs own "$1/etc"
cd /etc && for name in {NEEDED}; do [ ! -e "$name" ] || cp -dR --parents "$name" "$1/etc"; done
mkdir -p "$1/etc/systemd/system"
printf '{HOSTS.encode('unicode_escape').decode()}' > "$1/etc/hosts"
mount -n --move "$1/etc" /etc
mount -n -t tmpfs own /run && mkdir /run/doorstep
mount -n -t tmpfs own /dev/shm
mount -n --bind /dev/null /proc/swaps
for node in /dev/video* /dev/media*; do [ ! -e "$node" ] || mount -n --bind /dev/null "$node"; done
ip link set lo up
ip address add {ADDRESS}/32 dev lo
[ "$2" = 0 ] && exec sh
exec unshare --user --map-user="$2" --map-group="$3" sh
"""
# Who is root there needs no sudo; an ordinary user has all that the documents ask it for.
SUDO = """#!/bin/sh
if [ "$1" = -u ]; then user=$2 && shift 2; else exec "$@"; fi
if [ "$(id -u)" = 0 ]; then exec setpriv --reuid "$user" --regid "$user" --init-groups "$@"; else exec "$@"; fi
"""
PROGRAMS = {"sudo": SUDO, "sudoedit": '#!/bin/sh\nprintf "%s\\n" "$TYPED" > "$1"\n',
            "doorstep": f'#!/bin/sh\nexport PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1\nexec {sys.executable} -m device "$@"\n'}


def programs(folder: Path) -> Path:
    """What stands in for an installed doorstep, and for sudo."""
    (folder / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return folder / "bin"


class OwnMachine:
    """`with OwnMachine(folder) as machine:` then machine.run("sudo doorstep broker check"), in a checkout."""

    NAMESPACES = ["unshare", *["--map-root-user"] * (os.getuid() != 0), "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, programs(folder)
        for name in ("etc", "home"):
            (folder / name).mkdir()
        (folder / "deploy").symlink_to(ROOT / "deploy")
        (folder / ".venv").symlink_to(sys.prefix)
        self._logs: dict[int, Path] = {}  # by process id
        self._last = 0

    def __enter__(self) -> Self:
        command = [*self.NAMESPACES, "sh", "-euc", MAKE, "sh", str(self.folder), str(os.getuid()), str(os.getgid())]
        path = f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        with (self.folder / "machine.log").open("wb") as log:
            self._first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
                                           env=environment(PATH=path, HOME=str(self.folder / "home"), PYTHONPATH=str(ROOT), PYTHONWARNINGS="default"))
        try:
            self._ask(f"unset RUNTIME_DIRECTORY XDG_RUNTIME_DIR XDG_CONFIG_HOME STATE_DIRECTORY; cd {shlex.quote(str(self.folder))}; echo 0")
        except AssertionError:
            self.__exit__()
            raise
        return self

    def _ask(self, line: str, seconds: float = 60) -> int:
        assert self._first.stdin and self._first.stdout
        self._first.stdin.write(line + "\n")
        assert select.select([self._first.stdout], [], [], seconds)[0], line
        answer = self._first.stdout.readline()
        assert answer, (self.folder / "machine.log").read_text()
        return int(answer)

    def _log(self) -> Path:
        self._last += 1
        log = self.folder / f"{self._last}.log"
        log.touch()
        return log

    def run(self, line: str, *, allowed: tuple[int, ...] = (0,), typed: str = "") -> str:
        """Run a line to its end; return what it said. `typed` is what comes into a file that it opens in an editor."""
        log = self._log()
        status = self._ask(f"TYPED={shlex.quote(typed)} sh -euc {shlex.quote(line)} > {shlex.quote(str(log))} 2>&1 < /dev/null; echo $?")
        assert status in allowed, f"{line}: {status}: {log.read_text()}"
        return log.read_text()

    def start(self, line: str, words: str = "") -> int:
        """Start a line that goes on, and wait until it says `words`; return its process id there."""
        log = self._log()
        pid = self._ask(f"sh -euc {shlex.quote('exec ' + line)} > {shlex.quote(str(log))} 2>&1 < /dev/null & echo $!")
        self._logs[pid] = log
        self.says(pid, words)
        return pid

    def says(self, pid: int, words: str) -> None:
        """Wait until what was started says `words`."""
        log = self._logs[pid]
        until(lambda: words in log.read_text(), lambda: f"{words!r}; it said: {log.read_text()}")

    def stop(self, pid: int, *, allowed: tuple[int, ...] = (0,)) -> None:
        """Ask it to end."""
        status = self._ask(f"kill {pid} 2> /dev/null; wait {pid}; echo $?")
        assert status in allowed, f"{status}: {self._logs[pid].read_text()}"

    def __exit__(self, *_: object) -> None:
        assert self._first.stdin and self._first.stdout
        self._first.stdin.close()
        try:
            self._first.wait(10)
        except subprocess.TimeoutExpired:
            self._first.kill()
            self._first.wait(10)
        self._first.stdout.close()
