"""What `tell` says of the record button, against a real Mosquitto; the test is `see` and `keep`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from device.messages import KeepToTell, SeeToTell, Sender
from device.tell.words import PAYLOAD_MOST_BYTES
from tests.rig import Mosquitto, Phone, Teller, environment, plain, until

QUICK = "[alerts]\ncooldown_s = 0"
STARTED, ENDED, RECORDING = KeepToTell.RECORDING_STARTED, KeepToTell.RECORDING_ENDED, KeepToTell.RECORDING
ALIVE, PAUSED, RESUMED = KeepToTell.ALIVE, KeepToTell.PAUSED, KeepToTell.RESUMED


@pytest.fixture
def teller(tmp_path: Path, broker: Mosquitto) -> Teller:
    return Teller(tmp_path, plain(broker.port, QUICK), button=True)


def retained(phone: Phone, *leaves: str) -> dict[str, str]:
    """What a phone learns that comes only now."""
    with phone.latecomer() as latecomer:
        until(lambda: all(latecomer.said(leaf) for leaf in leaves), lambda: f"{leaves}; got {latecomer.got}")
        return {got.leaf: got.payload for got in latecomer.got}


def test_a_recording_is_told_in_words_and_stands_as_a_state_while_it_lasts(teller: Teller, phone: Phone) -> None:
    """The one case in which video exists: everybody who looks must see it, also who looks late."""
    with teller:
        phone.wait("recording", "OFF")
        teller.press(STARTED, RECORDING)
        phone.wait("recording", "ON")
        phone.wait("alert", "recording at front door")
        phone.wait("event", '{"event_type":"recording"}')
        late = retained(phone, "recording", "status", "config")
        assert late["recording"] == "ON"
        assert set(late) == {"recording", "status", "config"}
        teller.press(ENDED, ALIVE)
        until(lambda: phone.said("recording") == ["OFF", "ON", "OFF"], lambda: f"{phone.said('recording')}")
        assert phone.said("alert") == ["recording at front door"]
    for got in phone.got:
        assert got.qos == 1
        assert got.leaf == "config" or len(got.payload.encode()) <= PAYLOAD_MOST_BYTES
    assert [got.expiry_s for got in phone.got if got.leaf == "recording"] == [None] * 3


def test_home_assistant_finds_the_recording(teller: Teller, phone: Phone) -> None:
    """Its document comes after the state, which waits for nothing."""
    with teller:
        until(lambda: phone.said("config"), "discovery")
    parts = json.loads(phone.said("config")[0])["components"]
    assert parts["recording"]["state_topic"] == "doorstep/front-door/recording"
    assert {"recording", "watching_paused", "storage_low"} <= set(parts["alert"]["event_types"])


@pytest.mark.parametrize(("word", "alert"), [
    (KeepToTell.RECORDING_FAILED, "recording failed at front door"),
    (KeepToTell.STORAGE_LOW, "storage low at front door"),
])
def test_what_went_wrong_at_a_press_is_told(teller: Teller, phone: Phone, word: KeepToTell, alert: str) -> None:
    """A clip that is missing is missed when it is needed, unless somebody says so before."""
    with teller:
        phone.wait("recording", "OFF")
        teller.press(word, ALIVE)
        phone.wait("alert", alert)


def test_a_pause_is_said_is_no_dead_camera_and_ends(teller: Teller, phone: Phone) -> None:
    """Six seconds without a frame would be "no camera"; closed on purpose it is "paused"."""
    with teller:
        phone.wait("status", "watching")  # connected: motion that is over by then is an alert, and no state
        teller.sender.send(SeeToTell.MOTION_STARTED)
        phone.wait("motion", "ON")
        teller.fall_silent()
        teller.press(PAUSED, PAUSED)
        phone.wait("status", "paused")
        phone.wait("alert", "watching paused at front door")
        until(lambda: phone.said("motion")[-1] == "OFF", "motion OFF")
        time.sleep(7)  # nothing is what must happen
        assert phone.said("status")[-1] == "paused"
        teller.press(RESUMED, ALIVE)
        phone.wait("alert", "watching again at front door")
        assert teller.sender.send(SeeToTell.ALIVE)
        until(lambda: phone.said("status")[-1] == "watching", lambda: f"{phone.said('status')}")
        assert "no camera at front door" not in phone.said("alert")


def test_a_camera_that_stays_closed_after_a_pause_is_no_camera(teller: Teller, phone: Phone) -> None:
    """A pause must not hide a dead camera: after it, silence is what it always is."""
    with teller:
        phone.wait("status", "watching")
        teller.fall_silent()
        teller.press(PAUSED, PAUSED)
        phone.wait("status", "paused")
        teller.press(RESUMED, ALIVE)
        phone.wait("alert", "watching again at front door")
        resumed_s = time.monotonic()
        phone.wait("status", "no camera")
        phone.wait("alert", "no camera at front door")
        assert next(got.at_s for got in phone.got if got.payload == "no camera") - resumed_s > 4
        assert phone.said("status")[-2:] == ["paused", "no camera"]


def test_a_keep_that_dies_ends_its_recording_and_is_told_and_so_is_its_return(teller: Teller, phone: Phone) -> None:
    """The gate closes with it, and a button that does nothing must be known."""
    with teller:
        phone.wait("recording", "OFF")
        teller.press(STARTED, None)
        phone.wait("recording", "ON")
        phone.wait("alert", "record button not working at front door")
        until(lambda: phone.said("recording")[-1] == "OFF", "recording OFF")
        assert phone.said("status")[-1] == "watching"
        teller.life = ALIVE
        phone.wait("alert", "record button works again at front door")
        assert phone.said("recording")[-1] == "OFF"


def test_a_tell_that_restarts_learns_what_became_of_the_recording(teller: Teller, phone: Phone) -> None:
    """The retained word of its predecessor may be a lie; a sign of life mends it."""
    with teller:
        phone.wait("recording", "OFF")
        teller.press(STARTED, RECORDING)
        phone.wait("recording", "ON")
        teller.kill()
        phone.wait("status", "offline")
        teller.start()
        until(lambda: phone.said("status")[-1] == "watching", "the second tell")
        until(lambda: phone.said("recording") == ["OFF", "ON", "ON"], lambda: f"{phone.said('recording')}")
        teller.kill()
        teller.life = ALIVE
        teller.start()
        until(lambda: phone.said("recording")[-1] == "OFF", lambda: f"{phone.said('recording')}")
    assert retained(phone, "recording")["recording"] == "OFF"


def test_a_goodbye_says_nothing_of_a_recording_that_goes_on(teller: Teller, phone: Phone) -> None:
    """`keep` does not need us: OFF could be a lie, and "offline" says that nobody knows."""
    with teller:
        teller.press(STARTED, RECORDING)
        phone.wait("recording", "ON")
        assert teller.stop() == 0
        phone.wait("status", "offline")
        assert phone.said("recording")[-1] == "ON"


def test_a_recording_while_the_broker_is_gone_is_told_late_and_its_state_is_the_present_one(
    teller: Teller, broker: Mosquitto, phone: Phone
) -> None:
    """Of the alerts every one counts, of the state only the latest."""
    with teller:
        phone.wait("recording", "OFF")
        broker.stop()
        teller.says("trying again")
        teller.press(STARTED, RECORDING)
        teller.press(ENDED, ALIVE)
        broker.start()
        until(lambda: any(text.startswith("recording at") for text in phone.said("alert")), lambda: f"{phone.got}", 40)
    assert set(phone.said("recording")) == {"OFF"}


HOSTILE = [b"", b"RR", b"recording", b"\x00", b"\xff", b"R" * 2000]


def test_inv_one_way_a_word_on_the_wrong_link_is_refused_and_counted(teller: Teller, phone: Phone) -> None:
    """A taken `see` must not be able to speak as the button, nor the button as the eye."""
    with teller:
        phone.wait("recording", "OFF")
        for word in (*HOSTILE, *(bytes((word,)) for word in SeeToTell)):
            teller.raw_keep(word)
        teller.says("refused what is no message of keep")
        for word in KeepToTell:
            teller.raw(bytes((word,)))
        teller.says("refused what is no message of see")
        teller.press(STARTED, RECORDING)
        phone.wait("recording", "ON")
        teller.motion()
        phone.wait("event", '{"event_type":"motion"}')
    assert phone.said("alert") == ["recording at front door", "motion at front door"]
    assert set(phone.said("status")) <= {"watching", "offline"}


@pytest.mark.parametrize("kind", ["garbage", "its own words"])
@pytest.mark.parametrize("flooded", ["keep", "see"])
def test_a_flood_on_one_link_costs_nothing_on_the_other(teller: Teller, phone: Phone, flooded: str, kind: str) -> None:
    """Whoever takes one process has that process's words, and not the silence of the other."""
    over = threading.Event()
    own = (SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED) if flooded == "see" else (PAUSED, RESUMED)
    words = [bytes((word,)) for word in own] if kind == "its own words" else [b"x", b"?" * 500]
    with teller:
        phone.wait("recording", "OFF")
        send = teller.raw if flooded == "see" else teller.raw_keep
        (teller._writer if flooded == "see" else teller._keep_writer).setblocking(True)  # as fast as it is read

        def flood() -> None:
            while not over.is_set():
                for word in words:
                    send(word)
                over.wait(0.001)  # leaves others of this machine some of it; it is more than a hundred times the rate

        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            teller.says(f"refused what is no message of {flooded}")
            if flooded == "see":
                teller.press(STARTED, RECORDING)
                phone.wait("recording", "ON")
                phone.wait("alert", "recording at front door")
            else:
                teller.motion()
                phone.wait("alert", "motion at front door")
                phone.wait("event", '{"event_type":"motion"}')
        finally:
            over.set()
            flooding.join()


@pytest.mark.parametrize("names", ["see:keep", "keep:see"])
def test_systemd_hands_it_both_sockets_in_any_order(tmp_path: Path, broker: Mosquitto, phone: Phone, names: str) -> None:
    """Socket activation as in sd_listen_fds_with_names(3)."""
    (tmp_path / "doorstep.toml").write_text(plain(broker.port))
    script = ("import fcntl, os, sys; fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[3:]];"
              "[os.dup2(fd, 3 + place) for place, fd in enumerate(fds)];"
              "os.environ.update(LISTEN_FDS='2', LISTEN_FDNAMES=sys.argv[2], LISTEN_PID=str(os.getpid()));"
              "os.execv(sys.executable, [sys.executable, '-m', 'device', 'tell', '--config', sys.argv[1]])")
    with ExitStack() as stack:
        fds, writers = [], {}
        for name in names.split(":"):
            reader, writers[name] = (stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(2))
            reader.bind(str(tmp_path / name))
            fds.append(reader.fileno())
        command = [sys.executable, "-c", script, str(tmp_path / "doorstep.toml"), names, *map(str, fds)]
        with subprocess.Popen(command, pass_fds=fds, env=environment()) as process:
            try:
                assert Sender[SeeToTell](writers["see"], str(tmp_path / "see")).send(SeeToTell.MOTION_STARTED)
                assert Sender[KeepToTell](writers["keep"], str(tmp_path / "keep")).send(STARTED)
                phone.wait("alert", "motion at front door")
                phone.wait("alert", "recording at front door")
            finally:
                process.terminate()
