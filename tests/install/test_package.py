"""The Debian packages: the same bytes each time, whole on paper, and on clean machines they come, work and go."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.install.conftest import PREFIX
from tests.install.machine import ROOT, Machine
from tests.install.test_install import ORDERS, OWNER, verified
from tests.rig import until

DIST = ROOT / "dist"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PINNED = re.findall(r"^(\S+)==(\S+) ", (ROOT / "deploy" / "lock.txt").read_text(), re.MULTILINE)
LATER = "/var/tmp/doorstep.deb"
APT = ("apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-y", "--no-install-recommends")


def deb(architecture: str) -> Path:
    found = list(DIST.glob(f"doorstep_*_{architecture}.deb"))
    assert len(found) == 1, f"{found}; try: make deb"
    return found[0]


@pytest.fixture(params=MACHINES)
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    subprocess.run(["dpkg-deb", "--raw-extract", deb(request.param), tmp_path / "tree"], check=True)
    return request.param, tmp_path / "tree"


def test_two_builds_are_byte_for_byte_the_same(tmp_path: Path) -> None:
    """Whoever distrusts the package can make it himself, in another folder, with other habits, and compare."""
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in map(os.fsdecode, filter(None, files.stdout.split(b"\0"))):
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "other" / name)
    (tmp_path / "other" / "deploy" / "install.sh").chmod(0o700)
    epoch = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    builder = ROOT / ".venv-build" / "bin" / "python"
    subprocess.run(["/bin/sh", "-c", f"umask 077; exec bash deploy/deb/build.sh {builder}"], cwd=tmp_path / "other", check=True,
                   env=os.environ | {"TZ": "Asia/Kathmandu", "SOURCE_DATE_EPOCH": epoch, "LC_ALL": "C.UTF-8"})
    for architecture in MACHINES:
        one, other = deb(architecture), tmp_path / "other" / "dist" / deb(architecture).name
        assert hashlib.sha256(one.read_bytes()).hexdigest() == hashlib.sha256(other.read_bytes()).hexdigest(), one.name


def test_each_machine_and_python_finds_every_library_in_it(unpacked: tuple[str, Path], tmp_path: Path) -> None:
    """A wheel for another processor or Python shows on the day of the installation, at somebody's door."""
    architecture, tree = unpacked
    own = tree / "usr/lib/doorstep"
    for version in ("3.11", "3.13"):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--dry-run", "--report", "-", "--no-index", "--find-links", own / "wheels",
             "--require-hashes", "--requirement", own / "requirements.txt", "--only-binary=:all:", "--python-version", version,
             *(f"--platform=manylinux_2_{glibc}_{MACHINES[architecture]}" for glibc in (34, 28, 17)),
             "--no-deps", "--target", tmp_path / "target"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in json.loads(done.stdout)["install"]}
        assert found == dict(PINNED) | {"doorstep": deb(architecture).name.split("_")[1]}


def test_its_bill_of_materials_is_what_is_in_it(unpacked: tuple[str, Path]) -> None:
    """In ten years somebody must be able to ask whether a broken library is in there."""
    architecture, tree = unpacked
    bill = json.loads((tree / "usr/share/doc/doorstep/sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    every = [bill["metadata"]["component"], *bill["components"]]
    wheels = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tree / "usr/lib/doorstep/wheels").iterdir()}
    assert {one["bom-ref"]: one["hashes"][0]["content"] for one in every} == wheels
    assert {one["licenses"][0]["license"]["name"] for one in every}.isdisjoint({"", "unknown", "UNKNOWN"})
    assert {(one["name"], one["version"]) for one in bill["components"]} == set(PINNED)
    said = (tree / "usr/share/doc/doorstep/copyright").read_text()
    assert all(name in said for name in wheels if not name.startswith("doorstep-"))
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)) is None
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill | {"components": 1})) is not None
    with zipfile.ZipFile(next((tree / "usr/lib/doorstep/wheels").glob("doorstep-*.whl"))) as own:
        packed = {name for name in own.namelist() if name.endswith(".py")}
    assert packed == {str(path.relative_to(ROOT)) for folder in ("device", "broker") for path in (ROOT / folder).rglob("*.py")}
    assert architecture in json.dumps(bill["metadata"])


def test_lintian_says_nothing_that_is_not_explained(unpacked: tuple[str, Path]) -> None:
    """Debian's own eye for mistakes; each exception has its reason in deploy/deb/lintian-overrides."""
    done = subprocess.run(["lintian", "--allow-root", "--no-cfg", "--profile", "debian", "--fail-on", "error,warning", deb(unpacked[0])],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def bring(machine: Machine, architecture: str = "amd64") -> None:
    """What it depends on is fetched; then the package is installed where there is no network."""
    shutil.copy(deb(architecture), machine.tree / LATER.lstrip("/"))
    machine.run("apt-get", "-q", "update")
    machine.run(*APT, "install", "--download-only", LATER)
    machine.run("unshare", "-n", *APT, "install", LATER)


def pids(machine: Machine) -> list[str]:
    return [machine.run("systemctl", "show", "-P", "MainPID", f"doorstep-{name}").strip() for name in ("see", "tell", "keep")]


def is_well(machine: Machine) -> bool:
    said = machine.run("doorstep", "status", "--json", status=None)
    return said.startswith("{") and bool(json.loads(said)["well"])


def all_well(machine: Machine, when: str) -> None:
    until(lambda: is_well(machine), lambda: f"{when}: " + machine.run("sh", "-c", "doorstep status; journalctl --namespace=doorstep --no-pager"), 120)


def test_it_comes_without_a_network_is_configured_upgraded_removed_and_purged(machine: Machine) -> None:
    """Its whole life on a machine with no broker but its own, and nothing of it is left but what its owner recorded."""
    before, accounts = machine.files(), machine.run("getent", "passwd")
    bring(machine)
    assert machine.run("doorstep", "--version").startswith("doorstep ")
    assert "usage: doorstep verify" in machine.run("doorstep", "verify", "--help")
    assert not (machine.tree / "etc/doorstep").exists()
    (machine.tree / "usr/sbin/policy-rc.d").unlink()  # from here on it is a machine like any other
    machine.start()
    machine.run("sh", "-c", 'echo "127.0.1.1 $(hostname).local" >> /etc/hosts')  # what mDNS says on a real one
    said = machine.run("doorstep-configure", "--place", "back door", "--recipient", OWNER)
    assert "broker phone add" in said
    toml = machine.tree / "etc/doorstep/doorstep.toml"
    toml.write_text(toml.read_text() + '\n[camera]\nsource = "porch"\n')
    machine.run("systemctl", "restart", "doorstep.target")
    all_well(machine, "after the first start")
    assert {what for what in verified(machine) if what != "broker: swap"} == set()  # of the machine that this runs on
    # What is said stays in memory: its journal's own settings are read from where the package lays them.
    journals = machine.run("find", "/var/log/journal", "/run/log/journal", "-path", "*.doorstep/*")
    assert re.fullmatch(r"/run/log/journal/\w+\.doorstep/\S+\n", journals), journals
    assert "there already" in machine.run("doorstep-configure", "--place", "front door", status=2)
    assert "apt remove" in machine.run("doorstep-configure", "--uninstall", status=2)
    assert "the package doorstep is installed" in machine.run("/src/deploy/install.sh", status=2)

    kept, old = machine.contents(), pids(machine)
    machine.run("dpkg", "-i", LATER)  # an upgrade runs the same scripts
    until(lambda: not set(pids(machine)) & {*old, "0"}, "all three to be started again", 60)
    all_well(machine, "after an upgrade")
    assert {name: kept[name] for name in kept if name.startswith("etc/")} == \
        {name: seen for name, seen in machine.contents().items() if name.startswith("etc/")}

    # A library that is not the one that was pinned gets nowhere, and the door that runs is not touched.
    machine.run("sh", "-c", "cd /usr/lib/doorstep/wheels && echo | tee -a tomlkit-*.whl")
    old = pids(machine)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in machine.run("/var/lib/dpkg/info/doorstep.postinst", "configure", status=1)
    assert machine.run("doorstep", "--version").startswith("doorstep ")
    assert (pids(machine), is_well(machine)) == (old, True)
    machine.run("dpkg", "-i", LATER)

    # Another Python: its libraries are elsewhere.
    machine.run("sh", "-c", "mv /opt/doorstep/lib/python3.* /opt/doorstep/lib/python3.0; dpkg-trigger --no-await --by-package=doorstep "
                "/usr/bin/python3; dpkg --configure --pending")
    assert machine.run("doorstep", "--version").startswith("doorstep ")
    all_well(machine, "after another Python")

    for name in ("clips/clip-000001.ts.age", "clips/device.pub", "device.key", "chain"):
        machine.run("install", "-D", "-o", "doorstep-keep", "-m", "600", "/dev/null", f"/var/lib/doorstep/{name}")
    machine.run(*APT, "remove", "doorstep")
    assert not (machine.tree / "opt/doorstep").exists()
    assert machine.run("systemctl", "list-units", "--plain", "--no-legend", "doorstep*") == ""
    assert toml.exists()
    assert machine.run("systemctl", "is-active", "mosquitto").strip() == "active"
    machine.run(*APT, "install", LATER)
    all_well(machine, "after it was removed and came back")

    said = machine.run(*APT, "purge", "doorstep")
    assert "recordings are left in /var/lib/doorstep/clips" in said
    until(lambda: machine.run("systemctl", "is-active", "mosquitto").strip() == "active", "Mosquitto as it was configured before", 30)
    assert machine.run("getent", "passwd") == accounts
    left = {name for name in machine.files() - before if "doorstep" in name and not name.startswith("var/tmp/")}
    assert left == {"var/lib/doorstep", "var/lib/doorstep/clips", "var/lib/doorstep/clips/clip-000001.ts.age", "var/lib/doorstep/clips/device.pub"}
    assert (machine.tree / "var/lib/doorstep/clips/clip-000001.ts.age").stat().st_uid == 0  # a number that is free again


def test_the_brokers_certificate_is_renewed_by_its_timer(machine: Machine) -> None:
    """In ten years nobody thinks of it; and what is tried for the first time when it is due fails on that day."""
    bring(machine)
    (machine.tree / "usr/sbin/policy-rc.d").unlink()
    machine.start()
    machine.run("sh", "-c", 'echo "127.0.1.1 $(hostname).local" >> /etc/hosts')
    machine.run("doorstep-configure", "--place", "back door", "--no-recording")
    assert machine.run("systemctl", "is-active", "doorstep-broker-renew.timer").strip() == "active"
    assert "doorstep-broker-renew" in machine.run("systemctl", "list-timers", "--no-pager")
    certificate = machine.tree / "etc/doorstep/broker/server.crt"
    before, broker = certificate.read_bytes(), machine.run("systemctl", "show", "-P", "MainPID", "mosquitto")
    machine.run("systemctl", "start", "doorstep-broker-renew.service")
    assert certificate.read_bytes() != before
    assert machine.run("systemctl", "show", "-P", "MainPID", "mosquitto") != broker  # it has read the new one
    until(lambda: '"broker": "connected"' in machine.run("doorstep", "status", "--json", status=None), "the door to be connected again", 60)


def test_it_takes_over_from_the_installer(machine: Machine) -> None:
    """Who began with a checkout goes on with the package: same configuration, same recordings, no second set of units."""
    machine.run(*ORDERS)
    settings = {name: seen for name, seen in machine.contents().items() if name.startswith("etc/doorstep")}
    bring(machine)
    assert {name: seen for name, seen in machine.contents().items() if name.startswith("etc/doorstep")} == settings
    units = {name for name in machine.files() if name.startswith(("etc/systemd/", "usr/local/", "etc/sysusers", "etc/tmpfiles", "etc/udev")) and "doorstep" in name}
    assert units == {"etc/systemd/system/doorstep-tell.service.d", "etc/systemd/system/doorstep-tell.service.d/broker.conf",
                     "etc/systemd/system/doorstep-tell.service.d/hosts", "etc/systemd/system/multi-user.target.wants/doorstep.target"}
    assert machine.run("systemctl", "is-enabled", "doorstep.target").strip() == "enabled"
    toml = machine.tree / "etc/doorstep/doorstep.toml"
    toml.write_text(toml.read_text() + '\n[camera]\nsource = "porch"\n')
    machine.start()
    all_well(machine, "with the package's units")
    assert verified(machine) == {}


def test_a_new_debian_keeps_the_door() -> None:
    """In ten years there are five, each with another Python: the libraries are installed anew, by themselves."""
    assert PREFIX is not None
    with Machine(PREFIX, "bookworm") as machine:
        bring(machine)
        machine.run("doorstep-configure", "--broker", "localhost", "--place", "back door", "--no-recording")
        settings = {name: seen for name, seen in machine.contents().items() if name.startswith("etc/doorstep")}
        machine.run("sed", "-i", "s/bookworm/trixie/", "/etc/apt/sources.list")
        machine.run("apt-get", "-q", "update")
        said = machine.run("env", "DEBIAN_FRONTEND=noninteractive", *APT, "-o", "Dpkg::Options::=--force-confold", "full-upgrade")
        assert "Processing triggers for doorstep" in said
        assert machine.run("python3", "--version").startswith("Python 3.13")
        assert "all right" in machine.run("doorstep", "config", "check", "/etc/doorstep/doorstep.toml")
        assert [path.name for path in (machine.tree / "opt/doorstep/lib").iterdir()] == ["python3.13"]
        assert {name: seen for name, seen in machine.contents().items() if name.startswith("etc/doorstep")} == settings
        assert machine.run("systemctl", "is-enabled", "doorstep.target").strip() == "enabled"
