"""Each fact of a door that is other than it should be makes its own row of `doorstep verify` fail, and no other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device import verify
from device.config import Broker, Camera, Config
from device.verify_checks import CHECKS, ELSEWHERE, Row, Verdict, judge
from device.verify_facts import LISTENS, MAPPED, Clip, Facts, Held, Kind, Owned, Process, Trial
from device.verify_units import LINKS, SENSOR, SETTINGS

ROOT = Path(__file__).parent.parent
STATE = {"Pid": "7", "Seccomp": "2", "Seccomp_filters": "2", "NoNewPrivs": "1",
         **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0000000000000000")}
OUTBOX = Held(3, "/run/doorstep-tell/x/outbox.json", Kind.FILE, writes=True, in_memory=True)
TCP = Held(4, "socket:[1]", Kind.SOCKET, writes=True, detail="tcp", peer="192.0.2.5", port=8883)
UNIX = Held(5, "socket:[2]", Kind.SOCKET, writes=True, detail="unix")
CLIP = Held(6, "/var/lib/doorstep/clips/clip-000001.ts.age", Kind.FILE, writes=True)


def process(name: str, *groups: str, held: tuple[Held, ...]) -> Process:
    libraries = {"see": {"libavcodec", "_multiarray_umath"}, "tell": {"_ssl", "libssl"}, "keep": {"libcrypto"}}[name]
    return Process(7, f"doorstep-{name}", (f"doorstep-{name}", *groups), (STATE, STATE), "0", False, (UNIX, *held),
                   frozenset(libraries), frozenset({"mnt", "user", "ipc", *({"net"} if name != "tell" else ())}), ("lo",))


GOOD_CAMERA = Held(7, "/dev/video0", Kind.DEVICE, True, "video4linux")

# A door as deploy/install.sh makes it, with a camera.
GOOD = Facts(
    installed=True,
    config=Config(broker=Broker(host="broker.lan")),
    processes={"see": process("see", "video", held=(GOOD_CAMERA,
                                                    Held(8, "socket:[3]", Kind.SOCKET, True, "netlink 15"))),
               "tell": process("tell", held=(OUTBOX, TCP)),
               "keep": process("keep", "gpio", held=(CLIP, Held(7, "/dev/gpiochip0", Kind.DEVICE, True, "gpiochip")))},
    recordings="/var/lib/doorstep",
    broker_addresses=frozenset({"192.0.2.5"}),
    settings=(Owned("/etc/doorstep/doorstep.toml", 0o644, "root", "root"),),
    secrets=(Owned("/etc/doorstep/password", 0o600, "doorstep-tell", "root"),),
    secrets_in_settings=(),
    vault=(Owned("/var/lib/doorstep", 0o700, "doorstep-keep", "doorstep-keep"),),
    clips=(Clip("clip-000001.ts.age"),),
    links=tuple(Owned(f"/run/doorstep/{name}".rstrip("/"), *of) for name, of in LINKS.items()),
    units={name: {**settings, "IPAddressAllow": "127.0.0.0/8 ::1/128 192.0.2.5/32" if name == "tell" else ""}
           for name, settings in SETTINGS.items()},
    trials=(Trial("TLS-OR-NOTHING", "broker: as nobody", True, "not authorized"),),
)


def but(name: str, *more: Held, facts: Facts = GOOD, **changes: Any) -> Facts:
    """The good door, with more open in one process, or with another fact about it."""
    old = facts.processes[name]
    return replace(facts, processes={**facts.processes, name: replace(old, **{"held": (*(old.held or ()), *more), **changes})})


# The same with a motion sensor and no camera.
SENSING = replace(
    GOOD, config=replace(GOOD.config, camera=Camera(source="pir")), units={**GOOD.units, "see": {**SENSOR, "IPAddressAllow": ""}},
    processes={**GOOD.processes, "see": process(
        "see", "gpio", held=(Held(7, "/dev/gpiochip0", Kind.DEVICE, True, "gpiochip"), Held(8, "anon_inode:gpio-line", Kind.OTHER, True),
                             Held(9, "/run/doorstep-see/.lgd-nfy0", Kind.FILE, True, in_memory=True)))})


def thread(**changes: str) -> Facts:
    """The good door, but one thread of `see` is another."""
    return but("see", threads=(STATE, {**STATE, **changes}))


def opened(name: str, *, detail: str = "", kind: Kind = Kind.FILE, number: int = 9, peer: str = "", port: int = 0) -> Held:
    return Held(number, name, kind, writes=True, detail=detail, peer=peer, port=port)


# One fact is other than it should be: which row says so.
TAMPERED: dict[str, list[Facts]] = {
    "see has no socket but Unix": [but("see", opened("socket:[9]", kind=Kind.SOCKET, detail=family))
                                   for family in ("tcp", "udp", "raw", "packet", "netlink 0", "unknown")],
    "see is in an empty network": [but("see", own_spaces=frozenset({"mnt", "user", "ipc"})), but("see", interfaces=("lo", "eth0"))],
    "keep has no socket but Unix": [but("keep", opened("socket:[9]", kind=Kind.SOCKET, detail="netlink 15"))],
    "keep has loaded no network and no camera library": [but("keep", libraries=frozenset({name}))
                                                         for name in ("_ssl", "libcamera", "libavcodec")],
    "keep has no device open but pins": [but("keep", opened("/dev/video0", kind=Kind.DEVICE, detail="video4linux")),
                                         but("keep", opened("/dev/pts/0", kind=Kind.DEVICE, detail="pts"))],
    "keep is in an empty network": [but("keep", interfaces=("lo", "wlan0"))],
    "tell has no device open": [but("tell", opened("/dev/renamed", kind=Kind.DEVICE, detail="video4linux")),
                                but("tell", opened("/dev/mem", kind=Kind.DEVICE, detail="/dev/mem"))],
    "tell has loaded no camera and no picture library": [but("tell", libraries=frozenset({"libavcodec"}))],
    "nobody can change a process's settings in memory": [
        but("keep", opened("/memfd:doorstep.toml (deleted)", kind=Kind.MEMORY)),
        but("see", opened("/memfd:doorstep.toml (deleted)", kind=Kind.MEMORY))],
    "each socket takes words from its sender alone": [
        replace(GOOD, links=GOOD.links[:-1]),
        replace(GOOD, links=(*GOOD.links[1:], Owned("/run/doorstep", 0o777, "root", "root"))),
        replace(GOOD, links=(*GOOD.links[:-1], Owned("/run/doorstep/video.sock", 0o620, "root", "doorstep-tell"))),
        replace(GOOD, links=(*GOOD.links, Owned("/run/doorstep/more.sock", 0o620, "root", "root")))],
    "tell is connected to the broker and nobody else": [
        but("tell", replace(TCP, peer="192.0.2.6")), but("tell", replace(TCP, port=80)), but("tell", replace(TCP, peer=LISTENS)),
        but("tell", replace(TCP, detail="raw"))],
    "tell may reach this machine and the broker alone": [
        replace(GOOD, units={**GOOD.units, "tell": {**GOOD.units["tell"], "IPAddressAllow": allowed}})
        for allowed in ("127.0.0.0/8 0.0.0.0/0", "192.0.2.0/24", "192.0.2.6/32")],
    "see has no file open for writing": [
        but("see", opened("/tmp/x", number=3), facts=SENSING), but("see", replace(OUTBOX, in_memory=True), facts=SENSING), but("see", opened("/tmp/x")), but("see", opened("/tmp/x", number=MAPPED)),
                                         but("see", opened("/tmp/x", number=2)), but("see", OUTBOX)],
    "keep has none but recordings": [but("keep", opened("/var/lib/other")), but("keep", opened("/var/lib/doorstep-x/clip"))],
    "every clip is an age file": [replace(GOOD, clips=(Clip("clip-000002.ts.age", "holds plain MPEG-TS"),))],
    "recordings and their key are keep's alone": [
        replace(GOOD, vault=(Owned("/var/lib/doorstep/device.key", 0o640, "doorstep-keep", "x"),)),
        replace(GOOD, vault=(Owned("/var/lib/doorstep/device.key", 0o600, "doorstep-see", "x"),)),
        replace(GOOD, vault=(Owned("/var/lib/doorstep", 0o755, "doorstep-keep", "x"),))],
    "what tell has open for writing lies in memory": [but("tell", replace(OUTBOX, in_memory=False))],
    "what they say is in no log on a disk": [replace(GOOD, journals=("/var/log/journal/1.doorstep/system.journal",))],
    "see has no device open but its camera or sensor": [but("see", opened("/dev/gpiochip0", kind=Kind.DEVICE, detail="gpiochip")),
                                                         but("see", GOOD_CAMERA, facts=SENSING)],
    "nothing else is open in any of them": [but(name, opened(f"anon_inode:{what}", kind=Kind.OTHER)) for name, what in
                                            (("see", "[io_uring]"), ("tell", "[pidfd]"), ("keep", "[userfaultfd]"))],
    "each call to the kernel is filtered twice": [thread(Seccomp="0"), thread(Seccomp_filters="1")],
    "no program can give them a power": [thread(NoNewPrivs="0")],
    "they have no capability": [thread(**{name: "0000000000000001"}) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "they leave no core dump": [but("see", core_most="unlimited")],
    "nobody of their user can look into them": [but("tell", shows_memory=True)],
    "each has a user of its own, and one group more at most": [
        but("see", user="root"), but("tell", user="doorstep-see"), but("tell", groups=("doorstep-tell", "video")),
        but("keep", groups=("doorstep-keep", "gpio", "video")), but("see", groups=("doorstep-see", "gpio")),
        but("see", groups=("doorstep-see", "gpio", "video"), facts=SENSING)],
    "each has its own mounts, users and messages": [but("tell", own_spaces=frozenset({"mnt", "user"}))],
    "the settings of the units are in force": [
        replace(GOOD, units={**GOOD.units, name: {**GOOD.units[name], key: "other"}})
        for name, settings in SETTINGS.items() for key in settings] + [replace(SENSING, units=GOOD.units), replace(GOOD, units=SENSING.units)],
    "nobody but root can change the settings": [replace(GOOD, settings=(Owned("x", mode, user, "root"),))
                                                for mode, user in ((0o666, "root"), (0o664, "root"), (0o644, "doorstep-see"))],
    "no secret stands in the settings": [replace(GOOD, secrets_in_settings=("a private key",))],
    "the broker's password is tell's alone": [replace(GOOD, secrets=(Owned("x", mode, user, "root"),))
                                              for mode, user in ((0o640, "doorstep-tell"), (0o600, "doorstep-see"))],
    "broker: as nobody": [replace(GOOD, trials=(replace(GOOD.trials[0], good=False),))],
}


def found(facts: Facts, verdict: Verdict) -> set[str]:
    return {row.what for row in judge(facts) if row.verdict is verdict}


def test_the_door_as_installed_is_good() -> None:
    """Else the table below would show nothing."""
    assert found(GOOD, Verdict.HOLDS) == {row.what for row in judge(GOOD)} == set(TAMPERED)
    assert {check.what for check in CHECKS} | {"broker: as nobody"} == set(TAMPERED)
    assert found(SENSING, Verdict.HOLDS) == set(TAMPERED)


@pytest.mark.parametrize("what", TAMPERED)
def test_each_fact_that_is_wrong_makes_its_row_fail_and_no_other(what: str) -> None:
    """A check that cannot fail is none, and one that cries for another's fault misleads."""
    for facts in TAMPERED[what]:
        assert found(facts, Verdict.BROKEN) == {what}
        assert all(row.found for row in judge(facts) if row.what == what)


@pytest.mark.parametrize(("unseen", "seen"), [
    (but("see", held=None), {"see has no socket but Unix", "see has no file open for writing", "see has no device open but its camera or sensor",
                             "nobody can change a process's settings in memory", "nothing else is open in any of them"}),
    (but("tell", libraries=None), {"tell has loaded no camera and no picture library"}),
    (but("keep", own_spaces=None), {"keep is in an empty network", "each has its own mounts, users and messages"}),
    (but("keep", shows_memory=None), {"nobody of their user can look into them"}),
    (replace(GOOD, clips=None), {"every clip is an age file"}),
    (replace(GOOD, vault=None), {"recordings and their key are keep's alone"}),
    (replace(GOOD, secrets=None), {"the broker's password is tell's alone"}),
    (replace(GOOD, broker_addresses=frozenset()), {"tell may reach this machine and the broker alone"}),
    (replace(GOOD, trials=(replace(GOOD.trials[0], good=None),)), {"broker: as nobody"}),
], ids=["descriptors", "libraries", "namespaces", "memory", "clips", "vault", "secrets", "addresses", "broker"])
def test_what_could_not_be_seen_is_no_pass(unseen: Facts, seen: set[str]) -> None:
    """The worst table is the one that is green because nobody looked."""
    assert found(unseen, Verdict.NOT_SEEN) == seen
    assert found(unseen, Verdict.BROKEN) == set()


def test_by_hand_the_folder_itself_may_be_seen_and_not_changed_by_others() -> None:
    """It is one of the owner's folders; what is in it is nobody else's."""
    for mode, is_good in ((0o755, True), (0o775, False)):
        facts = replace(GOOD, installed=False, vault=(Owned("/var/lib/doorstep", mode, "anna", "anna"),))
        assert ("recordings and their key are keep's alone" in found(facts, Verdict.HOLDS)) is is_good


def test_a_process_that_does_not_run_is_no_good_process() -> None:
    """`keep` alone is gone: what only it could show was not seen."""
    facts = replace(GOOD, processes={name: GOOD.processes[name] for name in ("see", "tell")})
    rows = {row.what: row for row in judge(facts)}
    assert rows["keep has no socket but Unix"] == Row("KEEP-HAS-NO-NETWORK", "keep has no socket but Unix", "/proc/PID/fd and net",
                                                      Verdict.NOT_SEEN, "keep does not run")
    assert rows["see has no socket but Unix"].verdict is Verdict.HOLDS


def test_every_promise_is_checked_or_named_with_the_test_that_shows_it() -> None:
    """No promise may fall between the documents and the check."""
    promised = set(re.findall(r"^\| ([A-Z][A-Z-]+) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    checked = {check.promise for check in CHECKS}
    assert checked | set(ELSEWHERE) == promised
    assert checked & set(ELSEWHERE) == set()
    for promise, why in ELSEWHERE.items():
        path = re.findall(r"tests/test_\w+\.py", why)[0]
        assert f"inv_{promise.lower().replace('-', '_')}" in (ROOT / path).read_text(), path


def test_a_taken_process_cannot_steer_the_terminal_that_shows_it() -> None:
    """It can name what it opens as it likes."""
    lines = list(verify.screen(judge(but("see", opened("/tmp/\x1b[2J\x1b[32mall is well"))), colour=False))
    assert any("/tmp/?[2J?[32mall is well" in line for line in lines)
    assert "\x1b" not in "".join(lines)
    assert any(line.startswith("  \033[1;31mBROKEN") for line in verify.screen(judge(thread(Seccomp="0")), colour=True))
