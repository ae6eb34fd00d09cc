"""`doorstep run` whose `see` is somebody else: confined in nothing, with the network, and with files that it writes.

As `run` it is the house; as `see`, in the place of the real one, it holds what no `see` may hold, and waits.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
from pathlib import Path

from device.stopping import die_with_parent


def main() -> int:
    from device import cli, run

    if sys.argv[1] == "run":
        run.House.modules = {"see": "tests.loose"}
        return cli.main(sys.argv[1:])
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]), signal.SIGKILL)
    path = Path(os.environ["LOOSE"])
    with path.with_suffix(".mapped").open("w+b") as mapped:
        mapped.truncate(1)
        memory = mmap.mmap(mapped.fileno(), 1)
    with path.open("w"), socket.socket(socket.AF_INET), Path("/dev/ptmx").open("rb"):
        other = os.pidfd_open(os.getppid())
        path.with_suffix(".stands").touch()
        signal.pause()
    os.close(other)
    memory.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
