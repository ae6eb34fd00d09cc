"""`doorstep verify`: a door that keeps its promises passes, and each way of breaking one is found as that one."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import status, verify, verify_broker, verify_files, verify_proc
from device.config import Broker, Config
from device.errors import DoorstepError
from device.verify_facts import LISTENS
from device.verify_held import parse_sockets
from device.verify_units import SENSOR, SETTINGS
from tests.broker_rig import House
from tests.clips import Clips, video
from tests.conftest import looks_inside
from tests.rig import Mosquitto, Phone, doorstep, environment, plain, until
from tests.test_broker_check import CONF, ONE_CLIENT, change

ROOT = Path(__file__).parent.parent
PORCH = '[camera]\nsource = "porch"\n[recording]\nfolder = "state"\npanel = "none"\n'


@contextmanager
def door(folder: Path, toml: str, *prefix: str, module: str = "device", **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real `doorstep run`, or the one of `module`."""
    (folder / "doorstep.toml").write_text(toml)
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen([*prefix, sys.executable, "-m", module, "run", "--config", str(folder / "doorstep.toml")],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(**more))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def verified(pid: int) -> dict[str, dict[str, str]]:
    """What it says of a house, by what was looked for."""
    done = doorstep("verify", "--pid", str(pid), "--json")
    assert done.returncode in (0, 1), done.stderr
    said = json.loads(done.stdout)
    assert said["holds"] is (done.returncode == 0)
    return {row["what"]: row for row in said["rows"]}


@looks_inside
def test_a_real_door_keeps_every_promise(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """The owner's own look at what README.md promises: at a house that watches, with clips in its folder."""
    (tmp_path / "state").mkdir()
    clips = Clips(tmp_path / "state" / "clips")
    clips.record(1, video())
    clips.record(2, video(), power_cut=True)
    for path in (clips.folder, *clips.folder.iterdir()):
        path.chmod(0o700 if path.is_dir() else 0o600)
    with door(tmp_path, PORCH + plain(broker.port)) as house:
        phone.wait("status", "watching")
        done = doorstep("verify", "--pid", str(house.pid))
        assert done.returncode == 0, done.stdout
        assert re.search(r"^(\d+) hold, 0 broken, 0 not seen$", done.stdout, re.MULTILINE)
        assert "\033" not in done.stdout
        assert done.stderr == ""

        clips.clip(3).write_bytes(video())
        assert broken(verified(house.pid)) == {"every clip is an age file", "recordings and their key are keep's alone"}


def broken(rows: dict[str, dict[str, str]]) -> set[str]:
    return {what for what, row in rows.items() if row["verdict"] == "broken"}


@looks_inside
def test_a_see_that_is_somebody_elses_is_found_by_looking(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Facts are read from a real process that gave up nothing, not from what anybody says of itself."""
    with door(tmp_path, PORCH + plain(broker.port), module="tests.loose", LOOSE=str(tmp_path / "written")) as house:
        until((tmp_path / "written.stands").exists, "the other see", 30)
        phone.wait("status", "no camera")
        rows = verified(house.pid)
    assert broken(rows) == {
        "see has no socket but Unix", "see has no file open for writing", "see has no device open but its camera or sensor",
        "nothing else is open in any of them", "each call to the kernel is filtered twice", "no program can give them a power",
        "they have no capability", *(["they leave no core dump"] if resource.getrlimit(resource.RLIMIT_CORE)[1] else []),
    }
    written = rows["see has no file open for writing"]["found"].split("; ")
    assert set(written) == {f"{tmp_path}/written{which}" for which in ("", ".mapped", ".mapped (mapped)")}
    assert "tell" not in rows["they have no capability"]["found"]


def test_without_root_it_says_what_it_did_not_see(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """What nobody looked at is no pass."""
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.getuid() == 0 else ()
    with door(tmp_path, PORCH + plain(broker.port), *powerless) as house:
        phone.wait("status", "watching")
        done = subprocess.run([*powerless, sys.executable, "-m", "device", "verify", "--pid", str(house.pid)],
                              capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 1, done.stderr
    assert "BROKEN" not in done.stdout
    assert re.search(r"not seen  see has no socket but Unix .*\n +needs root\n", done.stdout)
    assert "  holds     each call to the kernel is filtered twice" in done.stdout
    assert "  holds     nobody of their user can look into them" in done.stdout  # that is how one looks


def in_force(lines: list[str]) -> dict[str, list[str]]:
    """The settings of a unit, or of a unit and its drop-in: an empty value takes back what came before it."""
    unit: dict[str, list[str]] = {}
    for key, _, value in (line.partition("=") for line in lines if "=" in line and not line.startswith("#")):
        unit[key] = [*unit.get(key, []), value] if value else []
    return unit


def test_with_a_sensor_they_are_those_of_the_unit_and_its_drop_in() -> None:
    """Pins instead of cameras, and of everything else as much as before."""
    unit = (ROOT / "deploy/systemd/doorstep-see.service").read_text().splitlines()
    both = in_force([*unit, *(ROOT / "deploy/systemd/see-pir.conf").read_text().splitlines()])
    assert both["SupplementaryGroups"] == ["gpio"]
    assert both["DeviceAllow"] == ["char-gpiochip rw"]
    assert both["RestrictAddressFamilies"] == [SENSOR["RestrictAddressFamilies"]]
    changed = {key for key in both if both[key] != in_force(unit).get(key)}
    assert changed == {"SupplementaryGroups", "DeviceAllow", "RestrictAddressFamilies", "ProcSubset", "RuntimeDirectory",
                       "RuntimeDirectoryMode", "BindPaths"}
    assert {key for key in SENSOR if SENSOR[key] != SETTINGS["see"][key]} == {"DeviceAllow", "RestrictAddressFamilies"}


def test_the_settings_looked_for_are_those_of_the_units() -> None:
    """Whoever changes a unit is told to change this, too."""
    ours = {"AmbientCapabilities": "", "IPAddressAllow": "", "DeviceAllow": ""}  # systemd's defaults
    for name, settings in SETTINGS.items():
        lines = (ROOT / f"deploy/systemd/doorstep-{name}.service").read_text().splitlines()
        unit = in_force(lines)
        for key, value in settings.items():
            shipped = " ".join(unit.get(key, [ours.get(key, "missing")]))
            if key == "IPAddressDeny":
                shipped = shipped.replace("any", "0.0.0.0/0 ::/0")
            assert sorted(shipped.split()) == sorted(value.replace("char-rtc r", "").split()), (name, key)


AGE = io.BytesIO()
pyrage.encrypt_io(io.BytesIO(b"x" * 200_000), AGE, [pyrage.x25519.Identity.generate().to_public()])


def test_a_clip_is_told_from_what_is_none() -> None:
    """An age file is, a picture in the clear is not, whatever it is called and whatever stands before it."""
    age, plain_video = AGE.getvalue(), video()[:65536]
    assert verify_files.clip_fault(age[:65536], age[-65536:]) == ""
    assert verify_files.clip_fault(b"", b"") == ""
    assert verify_files.clip_fault(plain_video, plain_video) == "holds plain MPEG-TS"
    assert verify_files.clip_fault(age[:200] + plain_video, b"") == "holds plain MPEG-TS"
    assert verify_files.clip_fault(age[:65536], plain_video[100:]) == "holds plain MPEG-TS"
    assert verify_files.clip_fault(b"\xff\xd8\xff\xe0 a photograph", b"") == "is no age file"
    assert verify_files.clip_fault(age[:60], b"") == "is no age file"


@given(st.binary(max_size=3000))
def test_no_input_is_taken_for_an_age_file_but_one(data: bytes) -> None:
    """Nor is any an error: what lies there may be anything."""
    assert verify_files.clip_fault(data, data) == ("" if not data else "is no age file") or data.count(b"G") >= 8


def test_what_lies_among_the_clips_is_named(tmp_path: Path) -> None:
    """A picture under another name, a link to elsewhere, a statement that is none."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "clip-000001.ts.age").write_bytes(AGE.getvalue())
    (folder / "clip-000002.statement").write_bytes(b"\xff\xd8")
    (folder / "face.jpg").write_bytes(b"\xff\xd8")
    (folder / "clip-000003.ts.age").symlink_to("/dev/null")
    (folder / "clip-000004.statement.new").write_bytes(bytes(4096))  # as while its clip is recorded
    (folder / "clip-000005.statement.new").write_bytes(bytes(4096) + b"x")
    (folder / "device.pub").write_bytes(video())
    faults = {clip.name: clip.fault for clip in verify_files.clips(tmp_path)}
    assert {name for name, fault in faults.items() if not fault} == {"clip-000001.ts.age", "clip-000004.statement.new"}
    assert len(faults) == 7
    assert verify_files.clips(tmp_path / "none") == verify_files.vault(tmp_path / "none") == ()


def test_secrets_in_the_settings_are_named_and_never_shown(tmp_path: Path) -> None:
    """Everybody may read them; the table may be shown to everybody, too."""
    (tmp_path / "password").write_text("s3cret-words\n")
    config = Config(broker=Broker(host="b", user="u", password_file=str(tmp_path / "password")))
    assert verify_files.secrets_in('place = "x"', config) == ()
    assert verify_files.secrets_in("# s3cret-words\n# AGE-SECRET-KEY-1QQ\n# -----BEGIN PRIVATE KEY-----", config) == (
        "a key that opens clips", "a private key", "the broker's password")


def test_tables_of_sockets_are_read_as_the_kernel_writes_them() -> None:
    """The other end of each connection, of both families; who listens; and devices' news from routes."""
    tcp = ["0: 0100007F:1F90 050200C0:22B3 01 00000000:00000000 00:00000000 00000000 0 0 11 1 0",
           "1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12 1 0"]
    six = ["0: B80D0120000000000000000001000000:C000 B80D0120000000000000000002000000:22B3 01 0:0 00:0 0 0 0 13 1 0",
           "1: 0000000000000000FFFF00000100007F:C000 0000000000000000FFFF0000050200C0:22B3 01 0:0 00:0 0 0 0 14 1 0"]
    if sys.byteorder == "big":
        pytest.skip("the kernel writes these as this machine orders bytes")
    assert {inode: (held.peer, held.port) for inode, held in (parse_sockets("tcp", tcp) | parse_sockets("tcp6", six)).items()} == {
        "11": ("192.0.2.5", 8883), "12": (LISTENS, 0), "13": ("2001:db8::2", 8883), "14": ("192.0.2.5", 8883)}
    assert parse_sockets("netlink", ["0000 15 77 00000001 0 0 0 2 0 21"])["21"].detail == "netlink 15"
    assert parse_sockets("unix", ["0000: 00000002 00000000 00000000 0002 01 31"])["31"].detail == "unix"
    assert parse_sockets("packet", ["0000 3 3 0003 2 1 0 0 41"])["41"].detail == "packet"


def test_of_several_houses_one_must_be_named_and_where_there_is_none_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A look at another door than one thinks is worse than none."""
    monkeypatch.setattr(verify, "shown", lambda *_: {})
    child = ["python", "-m", "device", "see", "--config", "x", "--parent"]
    arguments = {1: ["init"], 5: ["doorstep"], 6: ["doorstep"], 15: [*child, "5"], 16: [*child, "6"], 17: [*child, "99"]}
    assert verify_proc.houses(arguments) == {5: {"see": 15}, 6: {"see": 16}}
    monkeypatch.setattr(verify_proc, "all_arguments", lambda: arguments)
    with pytest.raises(DoorstepError) as refused:
        verify.verify(tmp_path, None, as_json=False)
    assert refused.value.hint == "name one: doorstep verify --pid 5, or 6"
    monkeypatch.setattr(verify_proc, "all_arguments", dict)
    with pytest.raises(DoorstepError, match="nothing of Doorstep runs") as refused:
        verify.verify(tmp_path, None, as_json=False)
    assert refused.value.exit_status == 2
    assert doorstep("verify", "--pid", str(os.getpid())).returncode == 2


def test_a_setting_that_systemd_prints_in_several_lines_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeviceAllow= is printed so: the last line alone would hide a device."""
    done = subprocess.CompletedProcess([], 0, "DeviceAllow=char-rtc r\nDeviceAllow=/dev/mem rw\nUser=x\n")
    monkeypatch.setattr(status.shutil, "which", lambda _: "/bin/systemctl")
    monkeypatch.setattr(status.subprocess, "run", lambda *_, **__: done)
    assert status.shown("see") == {"DeviceAllow": "char-rtc r /dev/mem rw", "User": "x"}


LOOSE = {"as nobody": [(CONF, ONE_CLIENT, ""), (CONF, "allow_anonymous false", "allow_anonymous true")],
         f"with more than {2048} bytes": [(CONF, "max_packet_size 2048", "max_packet_size 2000000")]}


def test_a_broker_is_tried_without_the_doors_password(tmp_path: Path, runtime_folder: Path) -> None:
    """It would take the door's place at the broker, and its last will would say that the door is offline."""
    with House(tmp_path, runtime_folder / "memory") as house:
        broker = Broker(host="localhost", port=house.port, ca_file=str(house.root / "ca.crt"))
        tried = tried_on(broker)
        assert tried == dict.fromkeys(("as nobody", "in plaintext", "with TLS 1.1", "with more than 2048 bytes"), True)
        for what, changes in LOOSE.items():
            change(house, changes)
            assert tried_on(broker)[what] is False
        own = verify_broker.trials(broker, installed=True, own=house.root)
        assert {each.what: each.good for each in own}["broker: with a wrong password"]
    assert [each.good for each in verify_broker.trials(broker, installed=False)] == [None]  # it does not run any more
    assert verify_broker.trials(dataclasses.replace(broker, host="127.0.0.1", tls=False, ca_file=""), installed=False) == ()


def tried_on(broker: Broker) -> dict[str, bool | None]:
    return {each.what.removeprefix("broker: "): each.good for each in verify_broker.trials(broker, installed=False)}
