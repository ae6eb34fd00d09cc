"""The wall between pixels and the network: one byte a message, out of a closed alphabet, one way."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device import messages
from device.messages import ALPHABETS, BURST, DOWN_AFTER_S, LATE_S, Receiver, SeeToTell, Sender, pair

LETTERS = {bytes((word,)) for word in SeeToTell}


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    writer, reader = pair()
    with writer, reader:
        yield writer, reader


def fresh(reader: socket.socket) -> Receiver[SeeToTell]:
    return Receiver(reader, SeeToTell)


def test_inv_one_way_of_all_one_byte_messages_only_the_alphabet_passes(link: tuple[socket.socket, socket.socket]) -> None:
    """The size and the vocabulary are the proof that no picture gets through."""
    writer, reader = link
    for value in range(256):
        receiver = fresh(reader)
        writer.send(bytes((value,)))
        passed = [received.message for received in receiver.receive()]
        assert passed == [word for word in SeeToTell if word == value]
        assert receiver.refused == 1 - len(passed)


@settings(max_examples=3000, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(datagram=st.binary(max_size=4096))
def test_inv_one_way_no_input_passes_but_a_letter(link: tuple[socket.socket, socket.socket], datagram: bytes) -> None:
    """No input of any length or content is taken for a message, or stops the reader."""
    writer, reader = link
    receiver = fresh(reader)
    writer.send(datagram)
    passed = [bytes((received.message,)) for received in receiver.receive()]
    assert passed == ([datagram] if datagram in LETTERS else [])
    assert receiver.refused == 1 - len(passed)


def test_inv_one_way_the_link_cannot_be_used_backwards(link: tuple[socket.socket, socket.socket]) -> None:
    """Nothing that the network could take over has a word to say to the camera."""
    writer, reader = link
    with pytest.raises(BrokenPipeError):
        reader.send(b"M")
    writer.setblocking(False)
    assert _received_nothing(writer)


def _received_nothing(sock: socket.socket) -> bool:
    try:
        return sock.recv(10) == b""
    except BlockingIOError:
        return True


def test_inv_one_way_no_byte_means_two_things() -> None:
    """A message on the wrong link must be refused there."""
    values = [int(word) for alphabet in ALPHABETS for word in alphabet]
    assert len(values) == len(set(values))
    assert all(0 < value < 256 for value in values)


def test_a_flood_is_cut_to_the_walls_rate_and_counted(link: tuple[socket.socket, socket.socket]) -> None:
    """The rate bounds what a taken `see` could signal by the pattern of honest-looking words."""
    writer, reader = link
    writer.setblocking(False)
    receiver, sent, passed = fresh(reader), 0, 0
    began_s = time.monotonic()
    while sent < 2000:
        try:
            writer.send(b"M")
            sent += 1
        except BlockingIOError:
            passed += len(list(receiver.receive()))
    passed += sum(len(list(receiver.receive())) for _ in range(100))
    allowed = BURST + messages.RATE_PER_S * (time.monotonic() - began_s)
    assert passed <= allowed + 1
    assert passed + receiver.refused == sent


def test_one_call_reads_a_bounded_number_so_a_flood_cannot_hold_the_reader(tmp_path: Path) -> None:
    """`tell` must keep its appointments with the broker whatever comes in."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        reader.bind(str(tmp_path / "s"))
        reads = 0

        class Endless(socket.socket):
            def recvmsg(self, *_: object) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:  # type: ignore[override]
                nonlocal reads
                reads += 1
                return b"?", [], 0, None

        with Endless(fileno=socket.dup(reader.fileno())) as endless:
            assert list(fresh(endless).receive()) == []
    assert reads == BURST


def test_a_message_carries_the_moment_it_was_sent_not_read(link: tuple[socket.socket, socket.socket]) -> None:
    """A `tell` that was away says how late, not "now"."""
    writer, reader = link
    receiver = fresh(reader)
    Sender[SeeToTell](writer).send(SeeToTell.MOTION_STARTED)
    time.sleep(0.3)
    (received,) = receiver.receive()
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - received.sent_s
    assert 0.29 < age_s < 5


@pytest.mark.parametrize("step_s", [-90_000.0, 90_000_000.0], ids=["a day back", "years ahead"])
def test_a_clock_that_jumps_cannot_date_a_message_before_boot_or_after_now(
    link: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """A Pi has no clock of its own: minutes after boot the time may jump by years."""
    writer, reader = link
    receiver = fresh(reader)
    writer.send(b"M")
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + step_s)
    (received,) = receiver.receive()
    assert 0 <= received.sent_s <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("step_s", [-90_000.0, 90_000.0], ids=["a day back", "a day ahead"])
def test_a_clock_that_jumps_while_a_message_waits_dates_it_no_earlier_than_the_last_look(
    link: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Or a visitor of this moment would be told as one of yesterday."""
    writer, reader = link
    receiver = fresh(reader)
    assert list(receiver.receive()) == []
    looked_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    writer.send(b"M")
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + step_s)
    (received,) = receiver.receive()
    assert looked_s - 0.5 <= received.sent_s <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_inv_a_dead_teller_cannot_stop_the_eye_nor_lose_count(link: tuple[socket.socket, socket.socket]) -> None:
    """With nobody reading, sending returns at once and counts."""
    writer, _reader = link
    sender = Sender[SeeToTell](writer)
    began_s = time.monotonic()
    taken = sum(sender.send(SeeToTell.MOTION_STARTED) for _ in range(10_000))
    assert time.monotonic() - began_s < 5
    assert 0 < taken < 10_000
    assert sender.unsent == 10_000 - taken


def test_signs_of_life_do_not_fill_the_queue_of_a_reader_who_is_away(link: tuple[socket.socket, socket.socket]) -> None:
    """An hour without `tell` must not cost the alerts of that hour their place."""
    writer, reader = link
    sender = Sender[SeeToTell](writer)
    assert [sender.send_alive(SeeToTell.ALIVE) for _ in range(3600)].count(True) == 1
    assert sender.send(SeeToTell.MOTION_STARTED)
    assert [received.message for received in fresh(reader).receive()] == [SeeToTell.ALIVE, SeeToTell.MOTION_STARTED]
    assert sender.send_alive(SeeToTell.ALIVE)


def test_a_sender_that_is_starved_gives_no_sign_of_life(
    link: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `see` that looks at a frame every few seconds sees nobody, and the owner must not be told that it watches."""
    writer, reader = link
    sender, receiver, now_s = Sender[SeeToTell](writer), fresh(reader), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    said = []
    for gap_s in (0.0, 1.0, LATE_S, LATE_S + 0.1, DOWN_AFTER_S - 0.1, DOWN_AFTER_S - 0.1, 1.0, 1.0, DOWN_AFTER_S - 1.1, 1.0):
        now_s += gap_s
        said.append(sender.send_alive(SeeToTell.ALIVE))
        list(receiver.receive())
    assert said[:6] == [True, True, True, False, False, False]
    assert said[6:8] == [False, True], "twice in a row is chance, three times is not"
    assert said[8:] == [False, True], "one pause, short enough not to be told, is over at once"
    now_s += LATE_S + 0.1
    assert sender.send(SeeToTell.MOTION_STARTED), "what it does see is told all the same"


def test_a_sender_finds_a_reader_that_comes_late_and_one_that_comes_again(tmp_path: Path) -> None:
    """systemd may start `see` first, and restart the socket under it."""
    path = str(tmp_path / "tell.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sender = Sender[SeeToTell](sock, path)
        assert not sender.send(SeeToTell.ALIVE)
        for _ in range(2):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
                reader.bind(path)
                receiver = fresh(reader)
                assert sender.send(SeeToTell.MOTION_STARTED)
                assert [received.message for received in receiver.receive()] == [SeeToTell.MOTION_STARTED]
            Path(path).unlink()
        assert sender.unsent == 1


def test_inv_one_way_a_descriptor_sent_along_never_arrives(link: tuple[socket.socket, socket.socket]) -> None:
    """A socket or a file in disguise would be a second way through the wall."""
    writer, reader = link
    receiver = fresh(reader)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with socket.socket() as parcel, contextlib.suppress(PermissionError):  # refused at once by newer kernels
            socket.send_fds(writer, [b"M"], [parcel.fileno()])
        list(receiver.receive())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_waited_for_its_reader_is_within_the_rate_if_it_was_sent_so(tmp_path: Path) -> None:
    """A `tell` that was away must not refuse an honest hour because it reads it in a second."""
    writer, reader = pair()
    with writer, reader:
        receiver = fresh(reader)
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert [receiver._rate.take(now_s + n / messages.RATE_PER_S) for n in range(500)].count(False) == 0
        assert [receiver._rate.take(now_s + 200) for n in range(500)].count(True) <= BURST + 300
