"""The installer on clean machines: it installs, upgrades, starts and uninstalls as it says."""

from __future__ import annotations

import json
import re

from tests.install.machine import Machine
from tests.rig import until

OWNER = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"  # the age specification's
ORDERS = ("deploy/install.sh", "--broker", "localhost", "--place", "back door", "--recipient", OWNER)


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    """Who reads first what a script will do as root must be able to trust that."""
    files, contents = machine.files(), machine.contents()
    said = machine.run(*ORDERS, "--dry-run")
    assert "would: apt-get -q install" in said.replace("env DEBIAN_FRONTEND=noninteractive ", "")
    assert (machine.files(), machine.contents()) == (files, contents)


def test_it_installs_upgrades_and_leaves_nothing_but_configuration_and_recordings(machine: Machine) -> None:
    """Trying it out must cost nobody his machine, and an upgrade nobody his recordings."""
    files, accounts = machine.files(), machine.run("getent", "passwd") + machine.run("getent", "group")
    machine.run(*ORDERS)
    installed = machine.contents()
    toml = (machine.tree / "etc/doorstep/doorstep.toml").read_text()
    assert 'id = "back-door"' in toml
    assert OWNER in toml
    for unit in ("doorstep.target", "doorstep-see.service", "doorstep-tell.service", "doorstep-keep.service"):
        assert machine.run("systemd-analyze", "verify", unit) == ""
    for name in ("see", "tell", "keep"):
        machine.run("systemd-analyze", "security", "--offline=true", "--threshold=15", f"doorstep-{name}.service")
    where = machine.run("/opt/doorstep/bin/python", "-c", "import numpy; print(numpy.__file__)")
    assert where.startswith("/usr/lib/python3/dist-packages/")

    (machine.tree / "etc/doorstep/doorstep.toml").write_text(toml + "\n[detector]\nsensitivity = 4\n")
    machine.run("install", "-D", "-o", "doorstep-keep", "-m", "600", "/dev/null", "/var/lib/doorstep/clips/clip-000001.ts.age")
    edited = machine.contents()
    machine.run("deploy/install.sh")
    assert machine.contents() == edited
    assert {name for name in edited if edited[name] != installed.get(name)} == {"etc/doorstep/doorstep.toml"}
    assert "there already" in machine.run(*ORDERS, status=2)

    machine.run("deploy/install.sh", "--uninstall")
    left = machine.files() - files
    assert left == {"etc/doorstep", "etc/doorstep/doorstep.toml", "var/lib/doorstep", "var/lib/doorstep/clips",
                    "var/lib/doorstep/clips/clip-000001.ts.age"}
    assert files - machine.files() == set()
    assert machine.run("getent", "passwd") + machine.run("getent", "group") == accounts
    assert (machine.tree / "var/lib/doorstep/clips/clip-000001.ts.age").stat().st_uid == 0  # a number that is free again

    machine.run("deploy/install.sh")  # and back again, with the configuration that was left
    assert "sensitivity = 4" in (machine.tree / "etc/doorstep/doorstep.toml").read_text()


def test_a_key_made_here_is_shown_once_and_is_on_no_disk(machine: Machine) -> None:
    """A thief of the device must not find what opens its clips."""
    said = machine.run(*ORDERS[:-2], "--new-key")
    secrets = re.findall(r"AGE-SECRET-KEY-1[0-9A-Z]+", said)
    assert len(secrets) == 1
    assert re.search(r'recipients = \["age1\w+"\]', (machine.tree / "etc/doorstep/doorstep.toml").read_text())
    found = machine.run("sh", "-c", f"grep -rl {secrets[0]} /etc /opt /root /tmp /usr/local /var || true")
    assert found == ""


def test_a_wrong_answer_is_not_kept_as_if_it_were_the_owners(machine: Machine) -> None:
    """What is there is never overwritten, so what is wrong must not get there."""
    said = machine.run("deploy/install.sh", "--broker", "localhost", "--place", "x" * 90, status=2)
    assert "1 to 60 bytes" in said, said
    assert "hint: " in said
    assert not list((machine.tree / "etc").glob("doorstep/*"))


def verified(machine: Machine) -> dict[str, str]:
    """What `doorstep verify` finds amiss, and why."""
    said = json.loads(machine.run("doorstep", "verify", "--json", status=None))
    assert said["installed"]
    assert len(said["rows"]) >= 31  # of an installed door; and of its broker
    return {row["what"]: row["found"] for row in said["rows"] if row["verdict"] != "holds"}


def test_the_units_as_shipped_start_watch_and_tell_and_come_back(machine: Machine) -> None:
    """What is installed is what protects; each process that dies or hangs must come back, while the others go on."""
    machine.run(*ORDERS)
    toml = machine.tree / "etc/doorstep/doorstep.toml"
    toml.write_text(toml.read_text() + '\n[camera]\nsource = "porch"\n')
    machine.start()

    def well() -> bool:
        said = machine.run("doorstep", "status", "--json", status=None)
        return said.startswith("{") and bool(json.loads(said)["well"])

    until(well, lambda: machine.run("sh", "-c", "doorstep status; journalctl --namespace=doorstep --no-pager"), 60)
    assert "at back door" in machine.run("doorstep", "status")
    assert machine.run("stat", "-c", "%a %G", "/run/doorstep/tell.sock", "/run/doorstep/tell-keep.sock", "/run/doorstep/see.sock",
                       "/run/doorstep/video.sock").split("\n")[:4] == ["620 doorstep-see", "620 doorstep-keep", "620 doorstep-keep", "620 doorstep-see"]
    assert "watching" in machine.run("mosquitto_sub", "-C", "1", "-W", "30", "-t", "doorstep/back-door/status")
    assert machine.run("sh", "-c", "journalctl --no-pager | grep 'doorstep see: watching' || true") == ""  # not on the disk
    assert verified(machine) == {}
    # Somebody who may write there loosens a unit: it is seen, and which.
    machine.run("sh", "-c", "mkdir /run/systemd/system/doorstep-see.service.d && printf '[Service]\\nPrivateNetwork=no\\n' "
                "> /run/systemd/system/doorstep-see.service.d/loose.conf && systemctl daemon-reload && systemctl restart doorstep-see")
    until(well, "all to be well with a loose see", 60)
    assert verified(machine) == {"see is in an empty network": "it has the machine's network",
                                 "the settings of the units are in force": "doorstep-see: PrivateNetwork=no"}
    machine.run("sh", "-c", "rm -r /run/systemd/system/doorstep-see.service.d && systemctl daemon-reload && systemctl restart doorstep-see")
    until(well, "all to be well again", 60)
    for name, signal, most_s in (("tell", "STOP", 40), ("see", "KILL", 30), ("see", "STOP", 90), ("keep", "KILL", 30)):
        before = machine.run("systemctl", "show", "-P", "MainPID", f"doorstep-{name}").strip()
        machine.run("kill", f"-{signal}", before)
        until(lambda before=before, name=name: machine.run("systemctl", "show", "-P", "MainPID", f"doorstep-{name}").strip() not in (before, "0"),
              f"{name} to be started again after SIG{signal}", most_s)
        until(well, f"all to be well after SIG{signal} of {name}", 60)
    machine.run("/src/deploy/install.sh", "--uninstall")
    assert machine.run("systemctl", "list-units", "--plain", "--no-legend", "doorstep*") == ""


def test_with_a_sensor_the_process_that_watches_has_the_pins_and_no_camera(machine: Machine) -> None:
    """Who wants no lens must not have a process that could open one; and who goes back gets his camera again."""
    dropin, toml = (machine.tree / "etc" / name for name in ("systemd/system/doorstep-see.service.d", "doorstep/doorstep.toml"))
    machine.run(*ORDERS, "--pir", "4")
    sensing = toml.read_text()
    assert (dropin / "pir.conf").exists()
    toml.write_text(sensing.replace('source = "pir"', 'source = "porch"'))
    machine.run("deploy/install.sh")
    assert not dropin.exists()
    toml.write_text(sensing)
    machine.run("deploy/install.sh")
    # A Raspberry Pi has it from apt, a plain Debian does not, and PyPI for Bookworm's Python alone.
    machine.run("/opt/doorstep/bin/pip", "install", "-q", "--only-binary=:all:", "lgpio>=0.2.2", status=None)
    machine.start()

    def says(name: str, words: str) -> bool:
        return words in machine.run("systemctl", "show", "-P", "StatusText", f"doorstep-{name}")

    # This is no Pi: where lgpio is, it is loaded, with its pipe in the unit's own folder, and gpiozero asks for the board ...
    log = ("journalctl", "--namespace=doorstep", "--no-pager")
    why = "unable to locate Pi revision" if list(machine.tree.glob("opt/doorstep/lib/*/site-packages/lgpio*")) else "No module named 'lgpio'"
    until(lambda: f"no sensor at pin 4: {why}" in machine.run(*log), lambda: machine.run(*log), 60)
    # ... and gpiozero's own stand-in shows the rest of it.
    (dropin / "mock.conf").write_text("[Service]\nEnvironment=GPIOZERO_PIN_FACTORY=mock\n")
    machine.run("sh", "-c", "systemctl daemon-reload && systemctl restart doorstep-see")
    until(lambda: says("see", "watching") and says("tell", "connected"), lambda: machine.run(*log), 60)
    assert verified(machine) == {}
    assert "none; a sensor at pin 4" in machine.run("doorstep", "status", status=None)
    allowed = machine.run("systemctl", "show", "-P", "DeviceAllow", "doorstep-see").split("\n")
    assert [line for line in allowed if line and "rtc" not in line] == ["char-gpiochip rw"]
    machine.run("/src/deploy/install.sh", "--uninstall")
    assert [path.name for path in dropin.iterdir()] == ["mock.conf"]  # whoever put that there may take it away


def test_a_broker_on_the_same_machine_is_set_up_hardened_and_the_door_is_its_first_user(machine: Machine) -> None:
    """Who has no broker shall have one that keeps nothing and lets nobody else in, without knowing what MQTT is."""
    machine.run(*ORDERS)
    machine.run("/opt/doorstep/bin/pip", "install", "-q", "hatchling")  # it is started without a way to the network
    machine.run("rm", "-r", "/etc/doorstep")
    machine.start()
    machine.run("sh", "-c", 'echo "127.0.1.1 $(hostname).local" >> /etc/hosts')  # what mDNS says on a real one
    said = machine.run("env", "PIP_NO_BUILD_ISOLATION=0", "/src/deploy/install.sh", "--place", "back door")  # 0: pip's way to say yes
    assert "broker phone add" in said
    assert machine.run("stat", "-c", "%a %U", "/etc/doorstep/password").strip() == "600 doorstep-tell"
    assert "tls" not in (machine.tree / "etc/doorstep/doorstep.toml").read_text()
    assert not list((machine.tree / "etc/doorstep/broker/devices").iterdir())
    until(lambda: '"broker": "connected"' in machine.run("doorstep", "status", "--json", status=None),
          lambda: machine.run("journalctl", "--namespace=doorstep", "--no-pager"), 60)
    checked = machine.run("doorstep", "broker", "check", status=None)
    assert "BAD" not in re.sub(r".*swap.*", "", checked), checked
    amiss = verified(machine)
    assert {what for what in amiss if what.startswith("broker: ")} <= {"broker: swap"}, amiss  # of the machine that this runs on
    machine.run("doorstep", "broker", "phone", "add", "anna")
    machine.run("env", "PIP_NO_BUILD_ISOLATION=0", "/src/deploy/install.sh")
    machine.run("/src/deploy/install.sh", "--uninstall")
    assert machine.run("systemctl", "is-active", "mosquitto").strip() == "active"
