"""What must be so, promise by promise, as a table: facts in, verdicts out.

Rule 1: pure: facts were read elsewhere, and nothing but this table decides.
Rule 2: what could not be seen is said as that, and is no pass.
Rule 3: every promise of ARCHITECTURE.md is in CHECKS or in ELSEWHERE, with why a running door cannot show it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from device import verify_looks as looks
from device.verify_facts import Facts
from device.verify_looks import Look, UnseenError


class Verdict(enum.Enum):
    """How a promise was found."""

    HOLDS = "holds"
    BROKEN = "BROKEN"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so. `installed`: only services of systemd have it."""

    promise: str
    what: str
    how: str
    look: Look
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    promise: str
    what: str
    how: str
    verdict: Verdict
    found: str = ""  # what is wrong, or why it was not seen


ONE_WAY, TLS, CONFINED = "ONE-WAY", "TLS-OR-NOTHING", "A-TAKEN-PROCESS-STAYS-CONFINED"
SEE, TELL, KEEP = "SEE-HAS-NO-NETWORK", "TELL-HAS-NO-CAMERA", "KEEP-HAS-NO-NETWORK"
CIPHERTEXT, HISTORY = "CIPHERTEXT-ONLY-ON-DISK", "NO-HISTORY-ON-DISK"

CHECKS: tuple[Check, ...] = (
    Check(SEE, "see has no socket but Unix", "/proc/PID/fd and net", looks.sockets("see")),
    Check(SEE, "see is in an empty network", "/proc/PID/ns and net", looks.no_network("see"), installed=True),
    Check(KEEP, "keep has no socket but Unix", "/proc/PID/fd and net", looks.sockets("keep")),
    Check(KEEP, "keep has loaded no network and no camera library", "/proc/PID/maps",
          looks.loads_none("keep", looks.NETWORK | looks.PICTURES)),
    Check(KEEP, "keep has no device open but pins", "/proc/PID/fd", looks.devices("keep")),
    Check(KEEP, "keep is in an empty network", "/proc/PID/ns and net", looks.no_network("keep"), installed=True),
    Check(TELL, "tell has no device open", "/proc/PID/fd", looks.devices("tell")),
    Check(TELL, "tell has loaded no camera and no picture library", "/proc/PID/maps",
          looks.loads_none("tell", looks.PICTURES)),
    Check(ONE_WAY, "nobody can change a process's settings in memory", "their seals", looks.sealed),
    Check(ONE_WAY, "each socket takes words from its sender alone", "modes in /run/doorstep", looks.links,
          installed=True),
    Check(TLS, "tell is connected to the broker and nobody else", "/proc/PID/fd and net", looks.connected),
    Check(TLS, "tell may reach this machine and the broker alone", "IPAddressAllow in systemctl show", looks.reach,
          installed=True),
    Check(CIPHERTEXT, "see has no file open for writing", "/proc/PID/fdinfo and maps", looks.see_writes),
    Check(CIPHERTEXT, "keep has none but recordings", "/proc/PID/fdinfo and maps", looks.keep_writes),
    Check(CIPHERTEXT, "every clip is an age file", "its header; its first and last 64 KiB", looks.clips),
    Check(CIPHERTEXT, "recordings and their key are keep's alone", "modes and owners", looks.vault),
    Check(HISTORY, "what tell has open for writing lies in memory", "/proc/PID/fdinfo and mountinfo",
          looks.tell_writes),
    Check(HISTORY, "what they say is in no log on a disk", "/var/log/journal", looks.journals, installed=True),
    Check(CONFINED, "see has no device open but its camera or sensor", "/proc/PID/fd", looks.devices("see")),
    Check(CONFINED, "nothing else is open in any of them", "/proc/PID/fd", looks.unknown),
    Check(CONFINED, "each call to the kernel is filtered twice", "Seccomp in /proc/PID/task/*/status", looks.filtered),
    Check(CONFINED, "no program can give them a power", "NoNewPrivs in /proc/PID/task/*/status", looks.no_new),
    Check(CONFINED, "they have no capability", "Cap* in /proc/PID/task/*/status", looks.capabilities),
    Check(CONFINED, "they leave no core dump", "/proc/PID/limits", looks.cores),
    Check(CONFINED, "nobody of their user can look into them", "tried: /proc/PID/environ", looks.memory),
    Check(CONFINED, "each has a user of its own, and one group more at most", "/proc/PID/status", looks.accounts,
          installed=True),
    Check(CONFINED, "each has its own mounts, users and messages", "/proc/PID/ns", looks.spaces, installed=True),
    Check(CONFINED, "the settings of the units are in force", "systemctl show", looks.units, installed=True),
    Check(CONFINED, "nobody but root can change the settings", "mode and owner", looks.settings, installed=True),
    Check(CONFINED, "no secret stands in the settings", "their text", looks.secrets_in_settings),
    Check(CONFINED, "the broker's password is tell's alone", "mode and owner", looks.secrets),
)

# What a door that runs cannot show, why, and which tests do.
ELSEWHERE: dict[str, str] = {
    "A-DEAD-TELLER-CANNOT-STOP-THE-EYE": "tell would have to die: tests/test_see.py",
    "EVERY-START-ENDS": "see would have to die: tests/test_tell.py",
    "BUTTON-OPENS-THE-GATE": "it takes a finger: tests/test_gate.py",
    "CLOSED-AT-BOOT": "it takes a start: tests/test_gate.py",
    "LIGHT-TELLS-THE-TRUTH": "it takes an eye: tests/test_keep.py",
    "NO-PRE-ROLL": "no memory is looked into: tests/test_record.py",
    "NO-PIXELS-LEAVE": "it takes two visits that differ in a face alone: tests/test_noninterference.py",
}


def judge(facts: Facts) -> list[Row]:
    """Return the whole table."""
    rows = [_row(check, facts) for check in CHECKS if facts.installed or not check.installed]
    tried = {None: Verdict.NOT_SEEN, True: Verdict.HOLDS, False: Verdict.BROKEN}
    return rows + [Row(each.promise, each.what, "tried, and how it answered", tried[each.good],
                       "" if each.good else each.detail) for each in facts.trials]


def _row(check: Check, facts: Facts) -> Row:
    try:
        faults = check.look(facts)
    except UnseenError as why:
        return Row(check.promise, check.what, check.how, Verdict.NOT_SEEN, str(why))
    return Row(check.promise, check.what, check.how, Verdict.BROKEN if faults else Verdict.HOLDS, "; ".join(faults))
