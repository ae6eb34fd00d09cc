"""What is wrong with a door, one question at a time: facts in, faults out.

Rule 1: pure: each takes facts and returns what is wrong with them, nothing if all is well.
Rule 2: what could not be seen is raised as UnseenError, and is no pass.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from ipaddress import ip_network
from pathlib import PurePath

from device.config import is_loopback
from device.verify_facts import LISTENS, MAPPED, Facts, Held, Kind, Owned, Process
from device.verify_proc import HOUSE
from device.verify_units import GROUPS, LINKS, SENSOR, SETTINGS

Look = Callable[[Facts], list[str]]


class UnseenError(Exception):
    """Why a check could not be made."""


_NO_ROOT = "needs root"
NETWORK = frozenset({"_ssl", "libssl"})
PICTURES = frozenset({"libavcodec", "libavformat", "libavdevice", "libcamera", "libcamera_base", "_libcamera",
                       "_multiarray_umath", "cv2"})  # FFmpeg, libcamera, numpy, OpenCV
_FAMILIES = {"see": {"unix"}, "camera": {"unix", "netlink 15"}, "sensor": {"unix"},
             "keep": {"unix"}}  # 15: what the kernel says of devices
_DEVICES = {"see": set[str](), "camera": {"video4linux", "media", "dma_heap", "/dev/udmabuf"},
            "sensor": {"gpiochip"}, "tell": set[str](), "keep": {"gpiochip"}}
_HARMLESS = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
_TERMINALS = {"tty", "pts", "/dev/tty", "/dev/console", "/dev/vc/0", "ttyS", "ttyAMA"}
_OTHER = ("anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[timerfd]")
_OTHER_OWN = {"camera": ("/dmabuf:", "anon_inode:dmabuf", "anon_inode:[request]"), "sensor": ("anon_inode:gpio",),
              "keep": ("anon_inode:gpio",)}
_EYES = {"porch": "see", "file": "see", "pir": "sensor"}
_STANDARD = (0, 1, 2)  # input, output and error: by hand they are the owner's terminal or file


def _process(facts: Facts, name: str) -> Process:
    if name not in facts.processes:
        raise UnseenError(f"{name} does not run")
    return facts.processes[name]


def _held(facts: Facts, name: str, kind: Kind) -> list[Held]:
    held = _process(facts, name).held
    if held is None:
        raise UnseenError(_NO_ROOT)
    return [each for each in held if each.kind is kind]


def _role(facts: Facts, name: str) -> str:
    """`see` with a real camera needs more than with a drawn one, and with a motion sensor other things."""
    return _EYES.get(facts.config.camera.source, "camera") if name == "see" else name


def _standard(facts: Facts, each: Held) -> bool:
    return not facts.installed and each.number in _STANDARD


def sockets(name: str) -> Look:
    def look(facts: Facts) -> list[str]:
        allowed = _FAMILIES[_role(facts, name)]
        return [f"{each.detail} socket {each.number}" for each in _held(facts, name, Kind.SOCKET)
                if each.detail not in allowed]
    return look


def devices(name: str) -> Look:
    def look(facts: Facts) -> list[str]:
        allowed = _DEVICES[_role(facts, name)] | _HARMLESS
        return [each.name for each in _held(facts, name, Kind.DEVICE)
                if each.detail not in allowed | (_TERMINALS if _standard(facts, each) else set())]
    return look


def loads_none(name: str, forbidden: frozenset[str]) -> Look:
    def look(facts: Facts) -> list[str]:
        libraries = _process(facts, name).libraries
        if libraries is None:
            raise UnseenError(_NO_ROOT)
        return sorted(libraries & forbidden)
    return look


def _written(facts: Facts, name: str, may: Callable[[Held], bool]) -> list[str]:
    return [f"{each.name}{' (mapped)' if each.number == MAPPED else ''}" for each in _held(facts, name, Kind.FILE)
            if each.writes and not _standard(facts, each) and not may(each)]


def see_writes(facts: Facts) -> list[str]:
    """With a sensor, lgpio has a pipe to itself in memory."""
    pipe = "/.lgd-nfy" if _role(facts, "see") == "sensor" else None
    return _written(facts, "see", lambda each: pipe is not None and pipe in each.name and each.in_memory)


def keep_writes(facts: Facts) -> list[str]:
    folder = PurePath(facts.recordings)
    return _written(facts, "keep", lambda each: each.in_memory or folder in PurePath(each.name).parents)


def tell_writes(facts: Facts) -> list[str]:
    return _written(facts, "tell", lambda each: each.in_memory)


def connected(facts: Facts) -> list[str]:
    broker, found = facts.config.broker, []
    for each in _held(facts, "tell", Kind.SOCKET):
        if each.detail in ("raw", "packet", "icmp") or each.peer == LISTENS:
            found.append(f"{each.detail} socket {each.number} {each.peer}".rstrip())
        elif each.detail == "tcp":
            known = not facts.broker_addresses or each.peer in facts.broker_addresses
            if each.port != broker.port or not known or not (broker.tls or is_loopback(each.peer)):
                found.append(f"a connection to {each.peer}:{each.port}")
    return found


def sealed(facts: Facts) -> list[str]:
    """Files of libcamera in memory are as they are; all others hold settings."""
    return [f"{each.name} of {name}" for name in HOUSE for each in _held(facts, name, Kind.MEMORY)
            if each.writes and each.detail != "sealed"
            and (_role(facts, name) != "camera" or each.name.startswith("/memfd:doorstep"))]


def unknown(facts: Facts) -> list[str]:
    return [f"{each.name} of {name}" for name in HOUSE for each in _held(facts, name, Kind.OTHER)
            if not each.name.startswith((*_OTHER, *_OTHER_OWN.get(_role(facts, name), ())))]


def _threads(facts: Facts, is_good: Callable[[Mapping[str, str]], bool], *shown: str) -> list[str]:
    return [f"{name}, thread {thread.get('Pid')}: {', '.join(f'{key} {thread.get(key)}' for key in shown)}"
            for name in HOUSE for thread in _process(facts, name).threads if not is_good(thread)]


def memory(facts: Facts) -> list[str]:
    shown = {name: _process(facts, name).shows_memory for name in HOUSE}
    if None in shown.values():
        raise UnseenError(_NO_ROOT)
    return [name for name, shows in shown.items() if shows]


def accounts(facts: Facts) -> list[str]:
    found = []
    for name in HOUSE:
        process, own = _process(facts, name), f"doorstep-{name}"
        more = set(process.groups) - {own} - GROUPS["sensor" if _role(facts, name) == "sensor" else name]
        found += [f"{name} runs as {process.user}"] if process.user != own else []
        found += [f"{name} is in {group}" for group in sorted(more)]
    return found


def spaces(facts: Facts) -> list[str]:
    found = []
    for name in HOUSE:
        own = _process(facts, name).own_spaces
        if own is None:
            raise UnseenError(_NO_ROOT)
        found += [f"{name} shares {space}" for space in sorted({"mnt", "user", "ipc"} - own)]
    return found


def no_network(name: str) -> Look:
    def look(facts: Facts) -> list[str]:
        process = _process(facts, name)
        if process.own_spaces is None or process.interfaces is None:
            raise UnseenError(_NO_ROOT)
        shared = [] if "net" in process.own_spaces else ["it has the machine's network"]
        return shared or sorted(set(process.interfaces) - {"lo"})
    return look


def units(facts: Facts) -> list[str]:
    found = []
    for name, shipped in SETTINGS.items():
        settings, force = SENSOR if _role(facts, name) == "sensor" else shipped, facts.units.get(name, {})
        found += [f"doorstep-{name}: {key}={force.get(key, '?')}" for key, value in settings.items()
                  if sorted(force.get(key, "?").split()) != sorted(value.split())]
    return found


def reach(facts: Facts) -> list[str]:
    if not facts.broker_addresses:
        raise UnseenError(f"the address of {facts.config.broker.host} is not known here")
    networks = map(ip_network, facts.units.get("tell", {}).get("IPAddressAllow", "0.0.0.0/0").split())
    return [str(network) for network in networks if not network.is_loopback
            and not (network.num_addresses == 1 and str(network.network_address) in facts.broker_addresses)]


def links(facts: Facts) -> list[str]:
    seen = {PurePath(link.path).name if link.path.endswith(".sock") else "": link for link in facts.links}
    return [f"{name or 'their folder'} is missing" for name in LINKS if name not in seen] + [
        _who(link) for name, link in seen.items() if LINKS.get(name) != (link.mode, link.user, link.group)]


def _who(file: Owned) -> str:
    return f"{file.path} is {file.user}'s, {file.group}'s, {file.mode:04o}"


def _private(files: Iterable[Owned] | None, owner: str | None, seen: Container[str] = ()) -> list[str]:
    if files is None:
        raise UnseenError(_NO_ROOT)
    return [_who(file) for file in files
            if file.mode & (0o022 if file.path in seen else 0o077) or owner not in (None, file.user)]


def filtered(facts: Facts) -> list[str]:
    """Ours are two filters: of what a process may ask, and of what ends it."""
    return _threads(facts, lambda of: of.get("Seccomp") == "2" and int(of.get("Seccomp_filters", 2)) >= 2,
                    "Seccomp", "Seccomp_filters")


def no_new(facts: Facts) -> list[str]:
    return _threads(facts, lambda of: of.get("NoNewPrivs") == "1", "NoNewPrivs")


def capabilities(facts: Facts) -> list[str]:
    sets = ["CapInh", "CapPrm", "CapEff", "CapAmb", *["CapBnd"] * facts.installed]
    return _threads(facts, lambda of: not any(int(of.get(each, "1"), 16) for each in sets), *sets)


def cores(facts: Facts) -> list[str]:
    return [name for name in HOUSE if _process(facts, name).core_most != "0"]


def clips(facts: Facts) -> list[str]:
    if facts.clips is None:
        raise UnseenError(_NO_ROOT)
    return [f"{clip.name} {clip.fault}" for clip in facts.clips if clip.fault]


def vault(facts: Facts) -> list[str]:
    """By hand the folder itself may be seen by others, as any of the owner's; what is in it may not."""
    return _private(facts.vault, "doorstep-keep" if facts.installed else None,
                    seen=() if facts.installed else (facts.recordings,))


def secrets(facts: Facts) -> list[str]:
    return _private(facts.secrets, "doorstep-tell" if facts.installed else None)


def secrets_in_settings(facts: Facts) -> list[str]:
    return list(facts.secrets_in_settings)


def settings(facts: Facts) -> list[str]:
    return [_who(file) for file in facts.settings if file.mode & 0o022 or file.user != "root"]


def journals(facts: Facts) -> list[str]:
    return list(facts.journals)
