"""Units and installer agree with the code and with each other; what needs root and a clean machine is in tests/install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from device import notify, usage

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "deploy" / "systemd"
INSTALL = ROOT / "deploy" / "install.sh"
NAMES = ("see", "tell", "keep")
Settings = dict[str, list[str]]

# Each link: its unit, whose it is, what it is called there, its path in the code, and who alone may connect.
LINKS = (
    ("doorstep-tell.socket", "tell", "see", usage.SOCKET, "see", "ListenDatagram"),
    ("doorstep-tell-keep.socket", "tell", "keep", usage.KEEP_TO_TELL, "keep", "ListenDatagram"),
    ("doorstep-see.socket", "see", "keep", usage.KEEP_TO_SEE, "keep", "ListenDatagram"),
    ("doorstep-keep.socket", "keep", "video", usage.VIDEO, "see", "ListenSequentialPacket"),
)
# What differs from power to power, and so need not be in each.
OWN = {"Description", "Requires", "Wants", "After", "SupplementaryGroups", "DeviceAllow", "BindPaths", "BindReadOnlyPaths",
       "IPAddressAllow", "StateDirectory", "StateDirectoryMode", "RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve"}


def settings(unit: str) -> Settings:
    """Every setting of a unit, with its values in order."""
    found: Settings = {}
    for line in (UNITS / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    assert found, unit
    return found


SERVICES = {name: settings(f"doorstep-{name}.service") for name in NAMES}


def test_inv_one_way_each_link_is_the_codes_and_its_senders_alone() -> None:
    """A path that differs is a silent door; a group too many is a way from the network to the camera."""
    for unit, of, name, path, sender, kind in LINKS:
        link = settings(unit)
        assert link[kind] == [path]
        assert link["FileDescriptorName"] == [name]
        assert link["Service"] == [f"doorstep-{of}.service"]
        assert link["SocketGroup"] == [f"doorstep-{sender}"]
        assert link["SocketMode"] == ["0620"]
        assert unit in SERVICES[of]["Requires"][0].split()
    assert {link[0] for link in LINKS} == {path.name for path in UNITS.glob("*.socket")}


def test_each_process_has_a_user_of_its_own_and_no_power_of_another() -> None:
    """Three processes with one user would be one process."""
    made = set(re.findall(r"^u (\S+)", (UNITS / "doorstep.sysusers").read_text(), re.MULTILINE))
    assert {service["User"][0] for service in SERVICES.values()} == made == {f"doorstep-{name}" for name in NAMES}
    powers = {name: service.get("SupplementaryGroups", []) for name, service in SERVICES.items()}
    assert powers == {"see": ["video"], "tell": [], "keep": ["gpio"]}
    for name, service in SERVICES.items():
        command = service["ExecStart"][0].split()
        assert command == ["/opt/doorstep/bin/doorstep", name, "--config", str(usage.INSTALLED)]
        assert name in usage.COMMANDS


def test_inv_see_has_no_network_and_the_kernel_says_so() -> None:
    """Neither has keep; and tell reaches this machine, and what the installer adds."""
    for name in ("see", "keep"):
        assert SERVICES[name]["PrivateNetwork"] == ["yes"]
        assert not {"AF_INET", "AF_INET6"} & set(SERVICES[name]["RestrictAddressFamilies"][0].split())
    for service in SERVICES.values():
        assert service["IPAddressDeny"] == ["any"]
    assert SERVICES["tell"]["IPAddressAllow"] == ["localhost"]


def test_inv_tell_has_no_camera_and_the_kernel_says_so() -> None:
    """Nor any other device, nor the recordings, nor the ear of the service manager's clients."""
    tell = SERVICES["tell"]
    assert tell["DevicePolicy"] == ["closed"]
    assert "DeviceAllow" not in tell
    assert "-/var/lib" in " ".join(tell["InaccessiblePaths"]).split()
    assert all(service["TemporaryFileSystem"] == ["/run:ro"] for service in SERVICES.values())  # and with it D-Bus
    assert not any("dbus" in path for service in SERVICES.values() for path in service["BindReadOnlyPaths"])


def test_inv_keep_has_no_network_and_opens_pins_only() -> None:
    """The camera's nodes are nothing to it."""
    assert SERVICES["keep"]["DeviceAllow"] == ["char-gpiochip rw"]
    assert SERVICES["keep"]["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert SERVICES["keep"]["DevicePolicy"] == SERVICES["see"]["DevicePolicy"] == ["closed"]


def test_what_one_service_gives_up_every_other_does_too_or_says_why_not() -> None:
    """An option that was forgotten looks like one that was left out."""
    given_up = {(key, value) for service in SERVICES.values() for key, values in service.items() for value in values if key not in OWN}
    for name, service in SERVICES.items():
        head = (UNITS / f"doorstep-{name}.service").read_text().partition("[Unit]")[0]
        left_out = re.findall(r"(\w+)=\w*, (?:which|since)", head.replace("\n# ", " "))
        for key, _ in given_up:
            assert key in service or key in left_out, (name, key)
        assert head.startswith(f"# doorstep-{name} has "), head
        assert "cannot" in head


def test_the_common_part_is_the_same_in_all_three() -> None:
    """What is hardened in one and forgotten in the others is a hole with a view."""
    parts = {re.search(r"^# Restarted.*?^ProtectClock=yes$", (UNITS / f"doorstep-{name}.service").read_text(), re.MULTILINE | re.DOTALL)
             for name in NAMES}
    assert len({part[0] for part in parts if part}) == 1
    assert None not in parts


def test_a_watchdog_is_fed_several_times_before_it_barks_and_tells_own_within_ten_seconds() -> None:
    """A door that is restarted for nothing is blind for nothing; one that hangs unseen is worse."""
    limits_s = {name: float(service["WatchdogSec"][0]) for name, service in SERVICES.items()}
    assert min(limits_s.values()) >= 3 * notify.EVERY_S
    assert limits_s["tell"] < 10  # nobody else can say that it hangs
    assert all(service["Type"] == ["notify"] and service["Restart"] == ["always"] for service in SERVICES.values())
    # SIGABRT would ask for a core dump, which holds pictures.
    assert all(service["WatchdogSignal"] == ["SIGKILL"] and service["LimitCORE"] == ["0"] for service in SERVICES.values())


def test_what_the_processes_say_stays_in_memory() -> None:
    """The system's journal is on the disk, and a taken process could write pictures into it, line by line."""
    journal = (UNITS / "journald@doorstep.conf").read_text()
    assert "Storage=volatile" in journal
    assert "ForwardToSyslog=no" in journal
    assert all(service["LogNamespace"] == ["doorstep"] for service in SERVICES.values())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing; make check says so too")
@pytest.mark.parametrize(("unit", "line", "instead"), [
    ("doorstep-see.service", "ProtectHome=yes", "ProtectHom=yes"),
    ("doorstep-keep.service", "CapabilityBoundingSet=", "CapabilityBoundingSet=~\nPrivateNetwork=no"),
    ("doorstep-tell.socket", "ListenDatagram=", "ListenDatagramm="),
])
def test_the_check_of_the_units_can_fail(unit: str, line: str, instead: str, tmp_path: Path) -> None:
    """A check that lets a weakened unit pass would be worse than none."""
    shutil.copytree(UNITS, tmp_path / "deploy" / "systemd")
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "units.sh", tmp_path / "tests")
    assert subprocess.run([tmp_path / "tests" / "units.sh"], capture_output=True, check=False).returncode == 0
    path = tmp_path / "deploy" / "systemd" / unit
    text = path.read_text()
    assert text.count(f"\n{line}") == 1
    path.write_text(text.replace(f"\n{line}", f"\n{instead}"))
    assert subprocess.run([tmp_path / "tests" / "units.sh"], capture_output=True, check=False).returncode == 1


def install(*options: str) -> subprocess.CompletedProcess[str]:
    """What the installer says, without root and without a terminal."""
    return subprocess.run([INSTALL, *options], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"]}, timeout=60)


def test_a_dry_run_says_everything_that_would_be_done() -> None:
    """It is what a careful owner reads first."""
    done = install("--dry-run", "--broker", "localhost", "--place", "Back door", "--new-key")
    assert done.returncode == 0, done.stderr
    for words in ("python3-numpy", "--system-site-packages /opt/doorstep", "make a key and show it once", "IPAddressAllow=127.0.0.1",
                  'id = "back-door"', "systemctl --quiet enable doorstep.target", *(path.name for path in UNITS.glob("doorstep-*"))):
        assert words in done.stdout, words


def test_its_help_names_every_option_and_fits_a_terminal() -> None:
    """It is read over ssh, on a phone."""
    done = install("--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    options = set(re.findall(r"(--[a-z-]+)(?=\)| [|)])", INSTALL.read_text().partition("while [ $# -gt 0 ]")[2].partition("esac")[0]))
    assert {"--place", "--uninstall", "--new-key"} <= options
    assert options - {"--help"} == set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(("options", "words"), [
    (("--user", "door"), "belong together"),
    (("--ca", "/nowhere"), "cannot be read"),
    (("--place",), "needs a value"),
    (("--place", "!!!"), "no name can be made of"),
    (("--colour", "red"), "unknown option"),
])
def test_a_refusal_says_what_to_do(options: tuple[str, ...], words: str) -> None:
    """And it comes before anything is done."""
    done = install("--dry-run", "--broker", "localhost", *options)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "hint: " in done.stderr
    assert "would" not in done.stdout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing; try: sudo apt install shellcheck")
@pytest.mark.parametrize("script", sorted(path for folder in ("deploy", "tests") for path in (ROOT / folder).rglob("*.sh")), ids=str)
def test_shell_scripts_have_no_known_mistakes(script: Path) -> None:
    """They run as root."""
    done = subprocess.run(["shellcheck", "-x", "--severity=warning", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing; try: sudo apt install shellcheck")
@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_the_packages_scripts_have_no_known_mistakes(name: str) -> None:
    """Nor these, which begin with what they share with the installer."""
    text = (ROOT / "deploy" / "parts.sh").read_text() + (ROOT / "deploy" / "deb" / name).read_text()
    done = subprocess.run(["shellcheck", "--shell=bash", "--severity=warning", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_unit_and_setting_has_its_place_in_the_one_list() -> None:
    """What installer and package lay is the same, and nothing of it is forgotten by either."""
    rows = [line.split() for line in re.search(r'^layout="\n(.*?)^"', (ROOT / "deploy" / "parts.sh").read_text(), re.MULTILINE | re.DOTALL)[1].splitlines()]
    assert sorted(file for file, _, _ in rows) == sorted(
        [f"systemd/{path.name}" for path in UNITS.iterdir()] + [path.name for path in UNITS.parent.iterdir() if path.suffix in (".service", ".timer", ".conf")])
    assert all(kind in ("every", "broker", "mosquitto", "pir", "owner") for _, _, kind in rows)
    services = re.search(r'^services="(.*?)"', (ROOT / "deploy" / "parts.sh").read_text(), re.MULTILINE | re.DOTALL)[1].split()
    assert sorted(services) == sorted(path.name for path in UNITS.iterdir() if path.suffix in (".target", ".socket", ".service"))


def test_every_library_of_a_device_is_pinned_as_new_as_it_must_be() -> None:
    """A package made of an older list would break at somebody's door."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = dict(line.split(">=") for line in project["dependencies"] + project["optional-dependencies"]["device"])
    text = (ROOT / "deploy" / "lock.txt").read_text()
    pinned = dict(re.findall(r"^(\S+)==(\S+) ", text, re.MULTILINE))
    assert "numpy" not in pinned  # apt's
    for name in set(floors) - {"numpy"}:
        assert [int(part) for part in pinned[name].split(".")[:2]] >= [int(part) for part in floors[name].split(".")[:2]], name
    for block in re.split(r"\n(?=\S)", text)[1:]:
        assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n?", block), block
