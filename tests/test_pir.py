"""A motion sensor in the place of a camera: the same words, and no picture anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import config
from device.errors import CameraError, ConfigError
from device.messages import KeepToSee, Receiver, SeeToTell, Sender, pair
from device.see import camera
from device.see.pir import CALM_S, READ_EVERY_S, STEADY_S, Pin, Presence
from device.status import Process, screen
from tests.conftest import looks_inside
from tests.finger import Finger
from tests.keep_rig import OWNER
from tests.rig import Mosquitto, Phone, environment, plain, until
from tests.sensor import PIN, Sensor
from tests.test_run import said
from tests.test_see import Seer

PIR = f'[camera]\nsource = "pir"\npin = {PIN}\n'
STARTED, ENDED = SeeToTell.MOTION_STARTED, SeeToTell.MOTION_ENDED


def levels(*spans: tuple[bool, float]) -> list[tuple[float, SeeToTell]]:
    """What is said when, while the level is each of these for so many seconds."""
    presence, found = Presence(), []
    readings = [active for active, seconds in spans for _ in range(round(seconds / READ_EVERY_S))]
    for n, active in enumerate(readings):
        found += [(n * READ_EVERY_S, word) for word in presence.step(active, n * READ_EVERY_S)]
    return found


def test_somebody_is_told_at_once_and_an_episode_outlasts_the_sensors_blind_time() -> None:
    """A PIR is blind for 2.5 s after each pulse: somebody who lingers is one visit, not six."""
    lingers = [span for _ in range(6) for span in ((True, 2.0), (False, 2.5))]
    told = levels((False, 5.0), *lingers, (False, 10.0))
    assert [word for _, word in told] == [STARTED, ENDED]
    assert told[0][0] == pytest.approx(5.0 + STEADY_S, abs=2 * READ_EVERY_S)
    assert told[1][0] == pytest.approx(5.0 + 27.0 - 2.5 + CALM_S, abs=2 * READ_EVERY_S)


def test_a_spark_on_the_wire_is_nobody() -> None:
    """A light switch beside the cable must not ring the phone."""
    assert levels((False, 5.0), (True, READ_EVERY_S), (False, 5.0), (True, READ_EVERY_S), (False, 5.0)) == []


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=30))
def test_no_input_makes_two_beginnings_without_an_end(spans: list[tuple[bool, float]]) -> None:
    """No input of a sensor leaves motion on, or says the same twice."""
    words = [word for _, word in levels(*spans, (False, 2 * CALM_S))]
    assert words[:1] in ([], [STARTED])
    assert words[-1:] in ([], [ENDED])
    assert all(one is not other for one, other in pairwise(words))


@contextmanager
def door(folder: Path, port: int, *lines: str) -> Iterator[subprocess.Popen[bytes]]:
    """The whole house, with a sensor, a button and a light on mock pins."""
    (folder / "doorstep.toml").write_text(PIR + plain(port, "[alerts]\ncooldown_s = 0", *lines))
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "tests.sensor", "run", "--config", str(folder / "doorstep.toml")],
                                   stdout=subprocess.DEVNULL, stderr=log,
                                   env=environment(SENSOR=str(folder / "sensor"), FINGER=str(folder / "finger")))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


RECORDS = f'[recording]\npanel = "gpio"\nfolder = "state"\nrecipients = ["{OWNER.to_public()}"]'


def test_the_phone_is_told_as_by_a_camera_and_a_recording_is_refused(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """Who wants no lens gets the same alerts; and a press says why it makes no clip, in light, log and words."""
    sensor, finger = Sensor(tmp_path / "sensor"), Finger(tmp_path / "finger")
    with door(tmp_path, broker.port, RECORDS):
        phone.wait("status", "watching")
        sensor.sees(True)
        phone.wait("motion", "ON")
        phone.wait("alert", "motion at front door")
        phone.wait("event", '{"event_type":"motion"}')
        sensor.sees(False)
        until(lambda: phone.said("motion")[-1] == "OFF", "motion OFF")
        finger.press()
        phone.wait("alert", "recording failed at front door")
        assert finger.light() == "fast"
        until(lambda: "there is no picture to record; a motion sensor has none" in said(tmp_path), lambda: said(tmp_path))
        assert "ON" not in phone.said("recording")
        assert not list(tmp_path.glob("state/clips/*.age"))


def test_holding_the_button_pauses_it_and_resumes_it(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """A pause is a pause whatever watches."""
    sensor, finger = Sensor(tmp_path / "sensor"), Finger(tmp_path / "finger")
    with door(tmp_path, broker.port, RECORDS):
        phone.wait("status", "watching")
        finger.hold()
        phone.wait("status", "paused")
        sensor.sees(True)
        finger.hold()
        until(lambda: phone.said("status")[-1] == "watching", lambda: f"{phone.said('status')}")
        phone.wait("alert", "motion at front door")  # it is there still
        alerts = phone.said("alert")
        assert alerts.index("watching again at front door") < alerts.index("motion at front door")


class Felt(Seer):
    """`doorstep see` with a sensor; the test is its `tell`, its `keep` and whoever passes."""

    def __init__(self, folder: Path) -> None:
        self.to_see, self.from_keep = pair()
        self.keep: Sender[KeepToSee] = Sender(self.to_see)
        self.sensor = Sensor(folder / "sensor")
        self.folder = folder
        (folder / "doorstep.toml").write_text(PIR)
        self.writer, self.reader = pair()
        self.receiver = Receiver(self.reader, SeeToTell)
        self.log = folder / "see.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.sensor", "see", "--config", str(folder / "doorstep.toml"), "--keep-fd",
                 str(self.from_keep.fileno()), "--tell-fd", str(self.writer.fileno()), "--parent", str(os.getpid())],
                pass_fds=[self.writer.fileno(), self.from_keep.fileno()], stderr=log,
                env=environment(SENSOR=str(folder / "sensor")))
        self.heard = []

    def close(self) -> None:
        super().close()
        self.to_see.close()
        self.from_keep.close()


@pytest.fixture
def felt(tmp_path: Path) -> Iterator[Felt]:
    felt = Felt(tmp_path)
    yield felt
    felt.close()


def test_a_pin_that_cannot_be_read_is_said_at_once_and_nothing_says_alive(felt: Felt) -> None:
    """A sign of life without a reading would be a door that nobody watches."""
    felt.hears(SeeToTell.ALIVE)
    felt.sensor.breaks()
    felt.hears(SeeToTell.CAMERA_LOST)
    assert felt.process.wait(10) == 1
    assert "the sensor's pin cannot be read: [Errno 19] No such device" in felt.log.read_text()
    felt.heard += felt.receiver.receive()
    assert felt.heard[-1].message is SeeToTell.CAMERA_LOST


def test_while_something_moves_each_sign_of_life_says_so(felt: Felt) -> None:
    """A word that was lost is mended within a second."""
    felt.sensor.sees(True)
    assert felt.hears(STARTED) <= felt.hears(SeeToTell.MOVING)
    felt.process.send_signal(signal.SIGTERM)
    assert felt.process.wait(10) == 0


def test_inv_button_opens_the_gate_and_a_sensor_has_nothing_to_record(felt: Felt) -> None:
    """What a taken `keep` asks of it is not there to be had."""
    felt.hears(SeeToTell.ALIVE)
    felt.keep.send(KeepToSee.START)
    until(lambda: "asked to record, where there is no picture" in felt.log.read_text(), lambda: felt.log.read_text())
    felt.heard.clear()
    felt.hears(SeeToTell.ALIVE)


def test_the_pipe_of_its_pins_has_a_folder_that_keep_does_not_use(felt: Felt, runtime_folder: Path) -> None:
    """lgpio gives each process's the same name: in one folder the button's touches could go to the sensor's process."""
    felt.hears(SeeToTell.ALIVE)
    assert oct((runtime_folder / "front-door" / "see").stat().st_mode & 0o777) == "0o700"


@looks_inside
def test_inv_a_taken_process_stays_confined_with_a_sensor_too(felt: Felt) -> None:
    """It has no camera, no network and no file; and nothing of a camera was loaded into it."""
    felt.hears(SeeToTell.ALIVE)
    status = Path(f"/proc/{felt.process.pid}/status").read_text()
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    maps = Path(f"/proc/{felt.process.pid}/maps").read_text()
    assert [name for name in ("numpy", "libav", "libcamera", "cv2", "_ssl", "libssl") if name in maps] == []


def test_a_camera_process_loads_nothing_of_pins() -> None:
    """And the sensor's loads nothing of a camera, numpy or FFmpeg before or after its pin is there."""
    for module, hidden in (("process", ("gpiozero", "lgpio", "device.see.pir")),
                           ("pir", ("numpy", "av", "device.see.camera", "device.see.detector", "gpiozero", "ssl"))):
        loaded = subprocess.run([sys.executable, "-c", f"import sys, device.see.start, device.see.{module}; print(*sys.modules)"],
                                capture_output=True, text=True, check=True, env=environment()).stdout.split()
        assert [name for name in loaded if name in hidden] == []
        assert f"device.see.{module}" in loaded


def test_a_pin_without_a_chip_is_refused_with_what_to_do() -> None:
    """On a machine without pins, or an installed door whose unit denies them, a person must learn why."""
    found = subprocess.run(
        [sys.executable, "-c", "from device.cli import main; import sys; sys.exit(main(sys.argv[1:]))", "see", "--config", "/dev/stdin"],
        input=PIR, capture_output=True, text=True, check=False, env=environment(GPIOZERO_PIN_FACTORY="native", PYTHONWARNINGS="default"))
    assert found.returncode == 2
    assert f"no sensor at pin {PIN}" in found.stderr
    assert "sudo deploy/install.sh" in found.stderr


def test_what_needs_a_picture_refuses_a_sensor() -> None:
    """`doorstep walk` must not open the webcam of somebody who wanted no lens."""
    with pytest.raises(CameraError, match="no picture"):
        camera.open_camera(config.Camera(source="pir"))


def test_a_sensor_shares_its_pin_with_nobody() -> None:
    """Two on one pin would be a finger that rings, or a light that nobody sees."""
    with pytest.raises(ConfigError, match="pin 17 is both"):
        config.parse('[camera]\nsource = "pir"\npin = 17')
    assert config.parse('[camera]\nsource = "pir"\npin = 17\n[recording]\npanel = "none"').camera.pin == 17
    assert config.parse("[camera]\npin = 17").camera.source == "auto"


def test_status_shows_a_sensor_as_what_it_is() -> None:
    """`? frames/s` would look like a fault."""
    lines = screen(config.parse(PIR), [Process(name, "active", 0, says) for name, says in
                                       (("see", "watching"), ("tell", "connected, no alert yet"), ("keep", "no picture"))])
    assert f"  camera      none; a sensor at pin {PIN}" in lines
    assert "  storage     nothing is recorded: a sensor gives no picture" in lines
    assert not any("!!" in line for line in lines)


def test_a_pin_lets_itself_go_twice() -> None:
    """Leaving must not fail because something else already has."""
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    Device.pin_factory = MockFactory()
    pin = Pin(PIN, None)
    assert not pin.is_active()
    pin.close()
    pin.close()
    Device.pin_factory = None
