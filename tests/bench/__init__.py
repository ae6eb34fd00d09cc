"""What the benchmarks share: the product's processes on this machine, and the law of a measurement.

Rule 1: what is compared is measured in turn in one run; of a shared machine only ratios mean something.
Rule 2: a slow machine is no fault; a product that misbehaves is one, named, and the exit status says so.
Rule 3: nothing is written to a disk: logs and configuration lie in memory, so that a byte written is the product's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAMES_PER_S = 10.0  # the product's rate
STOP_MOST_S = 5.0  # the product's own limit is 2.5 s; a busy machine gets twice that


@dataclass(frozen=True, slots=True)
class Pair:
    """A `see` of the benchmark's own and the real `doorstep tell`, over a real link."""

    see: subprocess.Popen[bytes]
    tell: subprocess.Popen[bytes]
    folder: Path

    def faults(self) -> tuple[str, ...]:
        """What went wrong so far, in words."""
        ended = [f"{name} ended with {process.returncode}: {self.log(name)}"
                 for name, process in (("see", self.see), ("tell", self.tell)) if process.poll() not in (None, 0)]
        return (*ended, *(line for line in self.log("tell").splitlines() if "refused" in line or "dropped" in line))

    def log(self, name: str) -> str:
        """Return what a process said on standard error."""
        return (self.folder / f"{name}.log").read_text()


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder on tmpfs: what is written there is written to no disk, and the kernel does not count it as such."""
    folder = Path(tempfile.mkdtemp(prefix="doorstep-bench-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def start(folder: Path, name: str, *arguments: str, fds: Sequence[int] = (), talks: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m arguments` with its standard error in `folder`; one that `talks` has pipes to us."""
    from tests.rig import environment  # it loads MQTT, which a `see` in a benchmark shall not have

    pipe = subprocess.PIPE if talks else subprocess.DEVNULL
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", *arguments], pass_fds=fds, stdin=pipe, stdout=pipe, stderr=log,
                                cwd=ROOT, env=environment(
                                    RUNTIME_DIRECTORY=str(folder), FINGER=str(folder / "finger.sock"),
                                    OPENBLAS_NUM_THREADS="1"))  # a benchmark loads numpy before `see` can say so


def word(process: subprocess.Popen[bytes]) -> list[bytes]:
    """Return the next line that a process which talks says to us, in words."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with {process.wait(STOP_MOST_S)}")
    return line.split()


def order(process: subprocess.Popen[bytes]) -> list[bytes]:
    """Have a process that talks do its one thing, and return what it says of it."""
    assert process.stdin is not None
    os.write(process.stdin.fileno(), b".")
    return word(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started, by its id, and let its pipes go."""
    if process.stdin is not None:
        process.stdin.close()  # one that waits for our word hears that there will be none
    process.terminate()
    try:
        process.wait(STOP_MOST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def see_and_tell(folder: Path, toml: str, *see: str, tell: Sequence[str] = ("device", "tell")) -> Iterator[Pair]:
    """Start `python -m` with `tell` and `see` in the place of these; each gets the words after `doorstep see`."""
    from device.messages import pair

    path = folder / "doorstep.toml"
    path.write_text(toml)
    writer, reader = pair()
    common = ("--config", str(path), "--parent", str(os.getpid()))
    with writer, reader:
        teller = start(folder, "tell", *tell, *common, "--events-fd", str(reader.fileno()), fds=[reader.fileno()])
        eye = start(folder, "see", *see, *common, "--tell-fd", str(writer.fileno()), fds=[writer.fileno()], talks=True)
        try:
            yield Pair(eye, teller, folder)
        finally:
            stop(eye)
            stop(teller)
