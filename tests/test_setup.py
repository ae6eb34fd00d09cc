"""The guided first set-up: what it asks, what it shows before it changes anything, and that it may be left at any time."""

from __future__ import annotations

import getpass
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyrage
import pytest
from gpiozero.pins.mock import MockFactory

from device import config, setup_camera, setup_steps
from device.cli import main
from device.config import Camera, Config
from device.errors import CameraError, ConfigError
from device.see.camera import Paced
from device.see.frame import Frame
from device.settings_file import edited
from device.setup_answers import FIELDS, Answers, example, load
from device.setup_camera import Seen, measure
from device.setup_job import BROKER, Job
from device.setup_steps import STEPS
from device.setup_talk import File, Terminal
from device.usage import SETUP_STEPS
from tests.broker_rig import House, Subscriber, as_phone, topics
from tests.rig import doorstep, until
from tests.window import Window


class Own(House):
    """A broker as setup makes it."""

    @property
    def root(self) -> Path:
        return self.folder / BROKER


OWNER = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"  # the age specification's
QUIET = "camera = false\nalert = false\nbroker = 'none'\n"
PORCH = "# mine\n[camera]\nsource = 'porch' # drawn\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the owner's, with a doorstep.toml that names the drawn porch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    (tmp_path / "doorstep.toml").write_text(PORCH)
    return tmp_path


def answered(here: Path, toml: str, *more: str) -> int:
    (here / "answers.toml").write_text(toml)
    return main(["setup", "--config", str(here / "doorstep.toml"), "--answers", str(here / "answers.toml"), *more])


def flat(text: str) -> str:
    """What is said, however it is wrapped."""
    return " ".join(text.split())


def said_of(capsys: pytest.CaptureFixture[str]) -> str:
    return flat(capsys.readouterr().out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What it asks


def test_every_question_is_asked_and_every_step_can_be_named() -> None:
    """An answer that nothing reads is a promise that nothing keeps."""
    assert tuple(STEPS) == SETUP_STEPS
    sources = "".join(path.read_text() for path in Path(setup_steps.__file__).parent.glob("setup_*.py"))
    asked = set(re.findall(r'(?:ask|given)\("(\w+)"', sources))
    assert asked == set(FIELDS)


def test_the_example_of_answers_can_be_read_and_is_what_is_taken_without_any(tmp_path: Path) -> None:
    """The first thing that somebody with ten doors does."""
    done = doorstep("setup", "--example")
    assert done.stdout == example()
    (tmp_path / "a.toml").write_text(done.stdout)
    assert load(tmp_path / "a.toml") == Answers()


@pytest.mark.parametrize(("toml", "says"), [
    ("plaice = 'x'", "did you mean place"),
    ("broker = 'a b'", "here, none, or a host name"),
    ("camera = 1", "true or false"),
    ("id = 'Front Door'", "a-z"),
    ("key = 'age1wrong'", "doorstep key new"),
    ("place = ", "answers.toml: "),
    ("key = 'new'", "standard output is no terminal"),
])
def test_an_answer_that_cannot_be_is_one_line_and_a_hint_and_changes_nothing_more(here: Path, toml: str, says: str) -> None:
    """Nobody is there to mend it: it must not go on with something else."""
    (here / "answers.toml").write_text(toml)
    done = doorstep("setup", "--answers", "answers.toml", "key" if "key" in toml else "place")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert (here / "doorstep.toml").read_text() == PORCH


def test_a_step_that_is_none_is_answered_with_those_there_are() -> None:
    """Whoever mistypes learns the right word."""
    done = doorstep("setup", "camara")
    assert done.returncode == 2
    assert "they are: place, camera, button" in done.stderr


def test_without_a_terminal_it_says_how_to_answer_beforehand(here: Path) -> None:
    """In a pipe, from cron, over ssh without -t."""
    done = doorstep("setup")
    assert done.returncode == 2
    assert "standard input is no terminal" in done.stderr
    assert "--answers" in done.stderr
    assert contents(here) == {"doorstep.toml": PORCH.encode()}


# A person at a terminal


def test_who_agrees_to_nothing_has_changed_nothing(here: Path) -> None:
    """Enter, Enter, Enter is how people look at something new."""
    with Window("setup", "place", "key", "broker") as window:
        window.press(b"\n", "Its name in MQTT topics")
        window.press(b"\n", "Write this to doorstep.toml?")
        assert '+place = "front door"' in window.read()
        window.press(b"\n", "Nothing was written.")
        window.press(f"{OWNER}\n".encode(), "Write this to doorstep.toml?")
        window.press(b"\n", "5  The broker")
        window.press(b"none\n", "What is left to do")
        assert window.end() == 0
    assert contents(here) == {"doorstep.toml": PORCH.encode()}


def test_left_in_the_middle_it_goes_on_from_there_by_what_is_in_the_files(here: Path) -> None:
    """Somebody rings at the door."""
    with Window("setup", NO_COLOR="1") as window:
        window.wait("> ")
        window.press(b"garden gate\n", "[garden-gate] >")
        window.press(b"Garden\n", "not allowed")
        window.press(b"\n", "[y/N]")
        window.press(b"y\n", "Try the camera")
        window.process.send_signal(signal.SIGINT)
        assert window.end() == 130
        assert "goes on from here" in flat(window.read())
        assert b"Traceback" not in window.shown
    door = config.load(here / "doorstep.toml")
    assert (door.id, door.place, door.camera.source) == ("garden-gate", "garden gate", "porch")
    assert "# mine\n" in (here / "doorstep.toml").read_text()
    with Window("setup", columns=200, rows=50) as window:
        window.wait('Done already: "motion at garden gate"')
        window.press(b"n\n", "Try the button")
        os.write(window.main, b"\x04")  # Ctrl-D
        assert window.end() == 130


def test_a_key_made_here_is_on_the_other_screen_and_in_no_file(here: Path) -> None:
    """A thief of the device must not find what opens its clips, nor in the window's scrollback."""
    with Window("setup", "key") as window:
        window.wait("> ")
        window.press(b"new\n", "Enter when you have it")
        secret = re.search(r"AGE-SECRET-KEY-1[0-9A-Z]+", window.read())
        assert secret
        assert window.shown.index(b"\x1b[?1049h") < window.shown.index(secret[0].encode())
        window.press(b"\n", "Write this to")
        assert window.shown.index(b"\x1b[?1049l") < window.shown.index(b"Write this to")
        window.press(b"y\n", "What is left to do")
        assert window.end() == 0
    recipient, = config.load(here / "doorstep.toml").recording.recipients
    assert recipient == str(pyrage.x25519.Identity.from_str(secret[0]).to_public())
    assert secret[0].encode() not in b"".join(contents(here).values())


def test_in_a_terminal_r_is_the_button_and_the_terminal_is_given_back(here: Path) -> None:
    """Button and light are tried before somebody needs them."""
    with Window("setup", "button") as window:
        window.press(b"\n", "Press the button now")
        window.press(b"r", "Was the light on until then")
        window.press(b"y\n", "Button and light work.")
        assert window.end() == 0


def test_what_fails_is_said_and_left_for_later_and_the_rest_goes_on(here: Path) -> None:
    """Whose broker's files are damaged can still name a key."""
    (here / BROKER).mkdir()
    (here / BROKER / "doors.json").write_text("{}")
    with Window("setup", "key", "broker", "alert") as window:
        window.press(f"{OWNER}x\n".encode(), "cannot be read")
        window.press(b"none\n", "The broker")
        window.press(b"here\n", "What is left to do")
        assert window.end() == 0
        assert "doors.json is damaged" in flat(window.read())
        assert "the broker, again: doorstep setup broker" in flat(window.read())


# From a file


def test_a_dry_run_shows_everything_and_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads first what will be done must be able to trust that."""
    assert answered(here, f"place = 'back door'\nkey = '{OWNER}'\n{QUIET}", "--dry-run") == 0
    said = said_of(capsys)
    for words in ('+place = "back door"', '+id = "back-door"', f'+recipients = ["{OWNER}"]', "no (--dry-run)"):
        assert words in said
    assert "- try the button and the light: doorstep setup button" in said  # nobody was asked to press it
    assert set(contents(here)) == {"doorstep.toml", "answers.toml"}
    assert (here / "doorstep.toml").read_text() == PORCH


def test_from_nothing_to_the_first_alert_on_the_phone_and_done_again_it_changes_nothing(
    here: Path, runtime_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of it: broker, door, phone and alert, each by the product's own commands, against a real Mosquitto."""
    house = Own(here, runtime_folder / "broker")
    options = f"--bind 127.0.0.1 --port {house.port} --memory {house.memory} --user {getpass.getuser()}"
    answers = (f"place = 'back door'\nkey = '{OWNER}'\ncamera = false\nhosts = ['127.0.0.1']\n"
               f"broker_options = '{options}'\nphone = 'anna'\n")
    assert answered(here, answers.replace("'anna'", "''")) == 0
    said = said_of(capsys)
    assert said.index("would write ") < said.index("Make a broker in") < said.index(" written /")
    assert "- start the broker (mosquitto -c " in said
    door = config.load(here / "doorstep.toml")
    assert (door.broker.host, door.broker.user) == ("localhost", "doorstep-back-door")
    assert (here / "password").stat().st_mode & 0o777 == 0o600
    assert not list((house.root / "devices").iterdir())
    assert "refuses connections" in said
    house.start()
    try:
        assert answered(here, answers, "phone") == 0
        with Subscriber([*as_phone(house), *topics(house.papers("phones/anna")["topics"])], here / "phone.out") as phone:
            before = contents(house.root) | {"toml": (here / "doorstep.toml").read_bytes()}
            capsys.readouterr()
            assert answered(here, answers) == 0
            said = said_of(capsys)
            assert said.count("Done already") == 4
            assert 'The broker has taken "motion at back door".' in said
            until(lambda: phone.got == ["doorstep/back-door/alert 0 motion at back door"], lambda: phone.said)
            assert contents(house.root) | {"toml": (here / "doorstep.toml").read_bytes()} == before
        # A door whose papers are gone gets new ones, and the old password is cut off.
        old = (here / "password").read_text()
        assert answered(here, answers, "broker", "alert") == 0
        assert (here / "password").read_text() != old
        assert 'The broker has taken "motion at back door".' in said_of(capsys)
        (here / "password").write_text("wrong")
        assert answered(here, answers, "alert") == 0
        assert "refused us" in said_of(capsys)
    finally:
        house.stop()


def test_a_broker_elsewhere_is_named_with_what_vouches_for_it_and_nothing_is_kept_that_will_not_do(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Papers that were carried over on a stick are put where they belong; a wrong one is said now, not at night."""
    stick = here / "stick"
    house = House(stick, Path("/dev/shm") / f"doorstep-{os.getpid()}")
    stick.mkdir()
    house.setup()
    house.do("device", "add", "front-door")
    papers = house.root / "devices" / "front-door"
    wanted = (f"broker = 'localhost'\nport = {house.port}\nca_file = '{papers}/ca.crt'\nuser = 'doorstep-front-door'\n"
              f"password_file = '{papers}/password'\n")
    (papers / "password").chmod(0o644)
    assert answered(here, wanted, "broker") == 2
    assert "chmod 600" in capsys.readouterr().err
    assert (here / "doorstep.toml").read_text() == PORCH
    (papers / "password").chmod(0o600)
    assert answered(here, wanted, "broker") == 0
    door = config.load(here / "doorstep.toml")
    assert (door.broker.ca_file, door.broker.password_file) == (str(here / "ca.crt"), str(here / "password"))
    assert (here / "password").read_bytes() == (papers / "password").read_bytes()
    assert (here / "password").stat().st_mode & 0o777 == 0o600


# The camera


def frames(levels: float, per_s: float, count: int, slope: float = 1.0) -> Iterator[Frame]:
    rng = np.random.default_rng(1)
    picture = np.clip(levels + slope * rng.normal(0, 20, (120, 160)), 0, 255)
    for n in range(count):
        yield Frame((picture + rng.normal(0, 1, picture.shape)).clip(0, 255).astype(np.uint8), n / per_s)


def test_the_camera_is_measured_by_the_products_own_values() -> None:
    """What is shown is what the detector will have to do with."""
    seen = measure(Paced(frames(100, 20, 30)).frames(), Config(), lasts_s=1.0)
    assert (seen.width_px, seen.height_px) == (160, 120)
    assert 10 < seen.frames_per_s < 21
    assert 98 < seen.brightness_levels < 102
    assert 0.1 < seen.noise_levels < 3
    assert seen.structure_levels > 3
    half = Config(camera=Camera(mask=("." * 8 + "#" * 8,) * 12))
    assert 98 < measure(Paced(frames(100, 20, 30)).frames(), half, lasts_s=0.5).brightness_levels < 102
    with pytest.raises(CameraError, match="no two frames"):
        measure(iter(list(frames(100, 20, 1))), Config())


@pytest.mark.parametrize(("seen", "says"), [
    (Seen(10, 160, 120, 100, 1, 9), []),
    (Seen(4, 160, 120, 100, 1, 9), ["frames_per_s = 4"]),
    (Seen(1, 160, 120, 100, 1, 9), ["frames_per_s = 2"]),
    (Seen(10, 160, 120, 5, 1, 0.2), ["dark", "hardly anything"]),
    (Seen(10, 160, 120, 250, 1, 9), ["white"]),
])
def test_what_may_be_wrong_with_a_camera_is_said(seen: Seen, says: list[str]) -> None:
    """A lens cap is found now, and not after the first visitor who was not told of."""
    doubts = list(seen.doubts(10))
    assert len(doubts) == len(says)
    for doubt, words in zip(doubts, says, strict=True):
        assert words in doubt


def test_the_trial_is_made_by_a_process_that_has_the_camera_and_nothing_else(here: Path) -> None:
    """The set-up has the network: it may not have the camera too. What comes back is six numbers."""
    seen = setup_camera.look(config.load(here / "doorstep.toml"))
    assert 5 < seen.frames_per_s < 11
    assert 20 < seen.brightness_levels < 235
    source = Path(setup_camera.__file__).read_text()
    assert source.index("sandbox.give_up(role") < source.index("sandbox.shut(role)") < source.index("measure(open_camera(")


def test_a_camera_that_is_not_there_or_hangs_is_said_and_ends_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ribbon can be seated tomorrow; the rest can be done today."""
    (here / "doorstep.toml").write_text("[camera]\nsource = 'v4l2'\ndevice = '/dev/none'\n")
    assert answered(here, "place = 'back door'\n", "camera", "place") == 0
    said = said_of(capsys)
    assert "/dev/none: no such camera" in said
    assert "have the camera seen: doorstep setup camera" in said
    monkeypatch.setattr(setup_camera, "ANSWER_MOST_S", 0.05)
    with pytest.raises(CameraError, match="does not answer"):
        setup_camera.look(Config(camera=Camera(source="porch")))


# The button and the light


@pytest.mark.parametrize(("pressed", "says"), [(True, "Button and light work."), (False, "BCM pin 17 to ground")])
def test_on_pins_the_light_is_on_until_the_button_is_pressed(
    here: Path, pins: MockFactory, pressed: bool, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wire in the wrong hole is found with the case still open."""
    (here / "doorstep.toml").write_text("[recording]\npanel = 'gpio'\n")
    lit = []

    def finger() -> None:
        until(lambda: pins.pin(27).state, "the light")
        lit.append(True)
        pins.pin(17).drive_low()
        pins.pin(17).drive_high()

    if not pressed:
        monkeypatch.setattr(setup_steps, "PRESS_MOST_S", 0.2)
    thread = threading.Thread(target=finger if pressed else bool)
    thread.start()
    assert answered(here, "button = true\n", "button") == 0
    thread.join()
    assert says in said_of(capsys)
    assert bool(lit) is pressed


# What it changes


def test_in_a_checkout_nothing_of_it_lies_among_the_program() -> None:
    """Keys in a folder of code would go wherever the code goes."""
    root = Path(__file__).parent.parent
    ignored = (root / ".gitignore").read_text().splitlines()
    for name in ("doorstep.toml", "answers.toml", "password", "ca.crt", f"{BROKER}/", "key.svg", "*.mp4"):
        assert f"/{name}" in ignored
    assert BROKER not in {path.name for path in root.iterdir() if list(path.glob("*.py"))}


def test_only_what_is_wanted_is_changed_and_every_comment_stays(tmp_path: Path) -> None:
    """It is the owner's file."""
    text = "# top\nplace = 'x' # mine\n[broker] # b\n# why\nhost = 'h'\n\n# below\n[camera]\nsource = 'porch'\n"
    after = edited(text, {"place": "y", "broker.port": 1884, "recording.recipients": ["age1x"]}, "doorstep.toml", tmp_path)
    for line in ("# top", "[broker] # b", "# why", "host = 'h'", "port = 1884", "# below", "[camera]", "source = 'porch'"):
        assert line in after.splitlines()
    assert 'place = "y" # mine' in after
    with pytest.raises(ConfigError, match="port = 0"):
        edited(text, {"broker.port": 0}, "doorstep.toml", tmp_path)


def test_answers_of_a_terminal_are_asked_for_from_a_terminal_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file piped into it is nobody's yes."""
    with pytest.raises(ConfigError, match="no terminal"):
        Terminal()
    job = Job(tmp_path / "doorstep.toml", File(Answers(), write=False))
    job.propose({"place": "x"})
    assert list(tmp_path.iterdir()) == []


# An installed door


SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case $1 in show) printf 'LoadState=loaded\\nActiveState=active\\nNRestarts=0\\nStatusText=no camera\\n' ;; esac
"""


@pytest.fixture
def done(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A machine on which the services run; what was asked of its service manager since the last call."""
    (here / "bin").mkdir()
    log = here / "systemctl.log"
    (here / "bin" / "systemctl").write_text(SYSTEMCTL.format(log=log))
    (here / "bin" / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}/bin:{os.environ['PATH']}")

    def said() -> list[str]:
        lines = [line.split()[0:2] for line in log.read_text().splitlines() if not line.startswith("show")]
        log.write_text("")
        return [" ".join(line) for line in lines]

    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_services_are_started_again_whatever_ends_it(here: Path, done: Callable[[], list[str]], number: signal.Signals) -> None:
    """A window that is closed, a network that goes: the door must not stay unwatched."""
    with Window("setup", "camera") as window:
        window.wait("Stop the services")
        window.press(b"y\n", "Try the camera")
        window.process.send_signal(number)
        assert window.end() == 130
    assert done() == ["stop doorstep.target", "start doorstep.target"]


def test_services_that_have_the_camera_are_stopped_if_that_is_agreed_to_and_always_started_again(
    here: Path, done: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A set-up must not leave a door unwatched."""
    assert answered(here, QUIET, "camera") == 0
    assert done() == ["stop doorstep.target", "start doorstep.target"]
    assert "sudo doorstep verify" in said_of(capsys)
    monkeypatch.setattr(setup_camera, "look", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert answered(here, "", "camera") == 130
    assert done() == ["stop doorstep.target", "start doorstep.target"]
    assert answered(here, "", "camera", "--dry-run") == 0
    assert done() == []
    assert "The services have it" in said_of(capsys)
    assert answered(here, QUIET, "place") == 0  # needs neither camera nor pins
    assert done() == []
