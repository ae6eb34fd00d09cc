"""`doorstep broker check` finds a broker that is right in order, and each fault in one that is not."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import book as books
from broker import check as check_module
from broker.check import Finding, check
from broker.configuration import TLS_1_2_CIPHERS
from broker.visitor import BROKE_OFF, Visitor
from tests.broker_rig import House
from tests.rig import doorstep

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def house(tmp_path: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(check_module, "SWAPS", no_swap(tmp_path))
    with House(tmp_path, runtime_folder / "broker") as house:
        yield house


def no_swap(folder: Path) -> Path:
    path = folder / "swaps"
    path.write_text("Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n")
    return path


def found(house: House) -> dict[str, Finding]:
    return {finding.what: finding for finding in check(house.root, books.load(house.root), NOW)}


def bad(house: House) -> set[str]:
    return {what for what, finding in found(house).items() if not finding.good}


def test_a_broker_that_is_right_is_found_right_and_everything_was_tried(house: House) -> None:
    """Each of these is a way in, or a record."""
    house.say("status", "watching", "-r")
    everything = found(house)
    assert [finding for finding in everything.values() if not finding.good] == []
    assert set(everything) == {
        "Mosquitto", "certificate", "modes", "what waits for phones", "swap", "with the authority, as localhost",
        "with the authority, as 127.0.0.1", "as nobody", "as a user that is none", "with a wrong password", "in plaintext",
        "with TLS 1.1", "to publish", "with more than 2048 bytes", "retained", "statistics ($SYS)"}


ONE_CLIENT, PASSWORDS = "use_username_as_clientid true\n", "password_file {root}/passwords\n"
CONF, ACL = "mosquitto.conf", "acl"
# What is changed (file, old, new), and what the check must find.
FAULTS: dict[str, tuple[list[tuple[str, str, str]], set[str]]] = {
    "anybody may come in without a name": ([(CONF, ONE_CLIENT, ""), (CONF, "allow_anonymous false", "allow_anonymous true")],
                                           {"as nobody"}),
    "no password is asked for": ([(CONF, ONE_CLIENT, ""), (CONF, PASSWORDS, ""),
                                  (CONF, "allow_anonymous false", "allow_anonymous true")],
                                 {"as nobody", "as a user that is none", "with a wrong password"}),
    "an old TLS is taken": ([(CONF, "tls_version tlsv1.2", "tls_version tlsv1.1"),
                             (CONF, TLS_1_2_CIPHERS, "ALL:@SECLEVEL=0")], {"with TLS 1.1"}),
    "a picture fits": ([(CONF, "max_packet_size 2048", "max_packet_size 2000000"),
                        (ACL, "topic read #", "topic readwrite #")], {"with more than 2048 bytes", "to publish"}),
    "everybody may write": ([(ACL, "topic read #", "topic readwrite #")], {"to publish"}),
    "statistics are given out": ([(CONF, "sys_interval 0", "sys_interval 1"),
                                  (ACL, "topic read #", "topic read #\ntopic read $SYS/#")], {"statistics ($SYS)"}),
}


def change(house: House, changes: list[tuple[str, str, str]]) -> None:
    for name, old, new in changes:
        text, old = (house.root / name).read_text(), old.format(root=house.root)
        assert old in text
        (house.root / name).write_text(text.replace(old, new))
    house.stop()
    house.start()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_no_other(house: House, fault: str) -> None:
    """A check that cannot fail is none."""
    changes, expected = FAULTS[fault]
    change(house, changes)
    assert bad(house) == expected


def test_a_retained_alert_is_found(house: House) -> None:
    """No ACL can forbid it; a door that was taken could do it."""
    house.say("alert", "motion at front door", "-r")
    assert bad(house) == {"retained"}


def test_a_key_that_others_may_read_is_found(house: House) -> None:
    """Somebody has copied it about."""
    (house.root / "ca.key").chmod(0o644)
    assert bad(house) == {"modes"}


def test_plaintext_on_the_port_for_tls_is_found(house: House) -> None:
    """Somebody has taken the certificate out: doors and phones no longer verify, and passwords go in plain."""
    change(house, [(CONF, f"{key} ", "# ") for key in ("certfile", "keyfile", "tls_version", "ciphers")])
    assert bad(house) == {"with the authority, as localhost", "with the authority, as 127.0.0.1", "the rest"}


def test_a_broker_that_does_not_run_is_no_good_broker(house: House) -> None:
    """Nothing was refused where nobody was asked."""
    house.stop()
    assert bad(house) == {"Mosquitto", "with the authority, as localhost", "with the authority, as 127.0.0.1", "the rest"}


def test_a_name_that_is_not_known_here_is_said_and_the_rest_is_tried_by_another(house: House) -> None:
    """Phones may find `pi.local` where the machine itself does not; and what was not tried has not been refused."""
    book = dataclasses.replace(books.load(house.root), hosts=("door.invalid", "127.0.0.1"))
    assert {finding.what for finding in check(house.root, book, NOW) if not finding.good} == {"with the authority, as door.invalid"}
    with Visitor("door.invalid", house.port, None) as outside:
        assert outside.publish("doorstep/check/alert", b"x" * 4096) == outside.received != BROKE_OFF


def test_memory_on_a_disk_a_swap_file_and_an_old_certificate_are_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each brings what waits to the SD card, or cuts off every phone one day."""
    book = dataclasses.replace(books.load(house.root), memory="/var/lib/mosquitto")
    check_module.SWAPS.write_text("Filename Type Size Used Priority\n/var/swap file 102396 0 -2\n")
    faults = {finding.what for finding in check(house.root, book, NOW + dt.timedelta(days=800)) if not finding.good}
    assert faults == {"what waits for phones", "swap", "certificate"}


def test_check_says_it_in_lines_and_with_its_exit_status(house: House) -> None:
    """For the eye, and for a timer."""
    done = doorstep("broker", "check", "--dir", house.root)
    lines = done.stdout.splitlines()
    swap = [line for line in lines if "swap:" in line]
    assert [line for line in lines if not line.startswith("ok") and line not in swap] == []
    assert done.returncode == (1 if swap[0].startswith("BAD") else 0)
    assert done.stderr == ""
    (house.root / "ca.key").chmod(0o644)
    assert doorstep("broker", "check", "--dir", house.root).returncode == 1
