"""`doorstep run` in which nobody gives up a power, for an emulator that cannot take one: what each calls can be written down.

As `run` it is the house; as `see`, `tell` or `keep` it is the real one, which leaves a mark where it would have been shut in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from device import cli, run, sandbox
from device.sandbox_calls import Call, Role

CALLS = "/root/calls."  # where the emulator writes them, by process
MARK = "/shut-in-as-"


def shut(role: Role, _calls: Iterable[Call] | None = None) -> None:
    """Leave the mark: a call that says the role."""
    Path(MARK + role.name).exists()


def close_others(given: Iterable[int]) -> None:
    """As the real one, but for the file that the emulator writes to."""
    emulators = {int(path.name) for path in Path("/proc/self/fd").iterdir() if path.is_symlink() and str(path.readlink()).startswith(CALLS)}
    really_close({*given, *emulators})


if __name__ == "__main__":
    really_close, sandbox.close_others = sandbox.close_others, close_others
    sandbox.give_up, sandbox.shut = lambda *_, **_more: None, shut  # type: ignore[assignment]  # by position only
    run.House.modules = dict.fromkeys(("see", "tell", "keep"), "tests.install.unconfined")
    sys.exit(cli.main(sys.argv[1:]))
