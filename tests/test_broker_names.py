"""Names: whatever is typed is taken safely, or refused with a hint; none becomes a topic, a rule or a user of its own."""

from __future__ import annotations

import dataclasses
import json
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import book as books
from broker.book import Book, Phone
from broker.configuration import acl, hashed, mosquitto_conf, passwords, read_passwords
from broker.names import checked_host, checked_name
from device.errors import ConfigError

BOOK = Book(hosts=("broker.lan",), port=8883, bind="", loopback_port=0, memory="/run/doorstep-broker", run_as="mosquitto")
NASTY = ["", "a" * 33, "a" * 5000, "a\n", "a\nuser root", "#", "+", "a/b", "..", "a:b", "%u", "%c", "a b", " a", "$SYS", "a\0b",
         "ä", "門", "A", "-a", "a\r", "\u202ea", "a\u2028b", "ａ"]  # noqa: RUF001 - a full-width letter is the point
anything = st.one_of(st.text(), st.text(alphabet=string.printable), st.sampled_from(NASTY),
                     st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True))


@given(anything)
def test_no_input_is_a_name_that_means_more_than_itself(name: str) -> None:
    """A phone called "#" would read every door."""
    try:
        assert checked_name("phone", name) == name
    except ConfigError as error:
        assert "\n" not in error.message + error.hint
        offered = error.hint.rpartition("try: ")[2]
        assert checked_name("phone", offered) == offered
        return
    assert re.fullmatch(r"[a-z0-9_-]{1,32}", name)
    book = BOOK.with_door(name).with_phone(Phone(name, "abcd", (name,)))
    rules = acl(book).splitlines()
    assert rules.count(f"user phone-{name}-abcd") == rules.count(f"user doorstep-{name}") == 1
    assert len(rules) == len(acl(BOOK.with_door("x").with_phone(Phone("x", "abcd", ("x",)))).splitlines())
    assert read_passwords(passwords(dict.fromkeys(book.users(), "h"), book.users())) == dict.fromkeys(book.users(), "h")


@pytest.mark.parametrize("name", NASTY)
def test_each_nasty_name_is_refused(name: str) -> None:
    """The property above must not pass by refusing nothing."""
    with pytest.raises(ConfigError):
        checked_name("phone", name)


def test_a_name_as_people_write_it_is_answered_with_one_that_is_taken() -> None:
    """Nobody shall have to read a manual to pair a phone."""
    with pytest.raises(ConfigError) as caught:
        checked_name("phone", "Anna's Téléphone")
    assert caught.value.hint.endswith("try: annas-telephone")


@given(st.one_of(anything, st.ip_addresses().map(str), st.from_regex(r"[A-Za-z0-9.:-]{1,40}", fullmatch=True)))
def test_no_input_is_a_host_that_means_more_than_itself(host: str) -> None:
    """It goes into a certificate, into files for phones and into a QR code."""
    try:
        taken = checked_host(host)
    except ConfigError as error:
        assert "\n" not in error.message + error.hint
        return
    assert re.fullmatch(r"[a-z0-9.:-]+", taken)
    assert checked_host(taken) == taken


@pytest.mark.parametrize("host", ["192.168.1.300", "a_b", "a..b", "-a", "*.lan", "broker.lan\n", "fe80::1%eth0", "0.0.0.0", "x" * 64, "bücher.example"])
def test_what_is_no_host_is_refused(host: str) -> None:
    """A typo found now is a phone that pairs."""
    with pytest.raises(ConfigError):
        checked_host(host)


@given(st.text())
def test_no_line_of_the_configuration_is_made_by_a_folders_name(folder: str) -> None:
    """`--memory` and `--dir` are typed too."""
    try:
        book = dataclasses.replace(BOOK, memory="/" + folder)
    except ConfigError:
        return
    assert mosquitto_conf(book, Path("/b")).count("\n") == mosquitto_conf(BOOK, Path("/b")).count("\n")
    assert "\r" not in mosquitto_conf(book, Path("/b"))


@given(st.sampled_from(["hosts", "port", "bind", "loopback_port", "memory", "run_as", "connections", "devices", "phones", "x"]),
       st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()), st.floats(allow_nan=True),
                 st.lists(st.fixed_dictionaries({"name": anything, "pairing": anything, "doors": st.lists(anything)}))))
def test_no_input_in_the_book_is_more_than_a_refusal(key: str, value: object) -> None:
    """A damaged file must not become a rule."""
    import tempfile

    rows = {**json.loads(BOOK.dump()), key: value}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / books.NAME).write_text(json.dumps(rows))
        try:
            book = books.load(Path(folder))
        except ConfigError as error:
            assert "\n" not in error.message
            return
        acl(book)
        assert mosquitto_conf(book, Path("/b")).count("listener ") <= 3  # two, and the word in a remark


def test_the_book_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What was paired stays paired."""
    book = dataclasses.replace(BOOK.with_door("a").with_door("b").with_phone(Phone("p", "abcd", ("a", "b"))), home_assistant=True)
    (tmp_path / books.NAME).write_text(book.dump())
    assert books.load(tmp_path) == book
    without = book.without_door("a")
    assert [phone.doors for phone in without.phones] == [("b",)]


def test_a_hash_is_mosquittos_own(tmp_path: Path) -> None:
    """mosquitto_passwd hashes the same password to the same line, given the same salt."""
    import base64
    import subprocess

    path = tmp_path / "passwords"
    path.write_text("anna:correct horse\n")
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, timeout=30)
    theirs = path.read_text().strip().partition(":")[2]
    _, kind, iterations, salt, _ = theirs.split("$")
    assert kind == "7"
    assert hashed("correct horse", base64.b64decode(salt), int(iterations)) == theirs
    assert hashed("battery staple", base64.b64decode(salt), int(iterations)) != theirs
    assert hashed("x").count("$") == theirs.count("$")
    assert len(hashed("x")) == len(theirs)
