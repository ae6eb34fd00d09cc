"""doorstep.toml becomes one frozen, fully checked Config.

Rule 1: an illegal value cannot be built, from a file or in code; ranges are written so that NaN is refused.
Rule 2: every setting stands once, with its default, its check and its words; the example is made of these.
Rule 3: no secret is a setting; a setting names the file that holds it.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from device import checks, versions
from device.checks import MASK_COLUMNS, MASK_ROWS, Checked, setting, shown
from device.errors import ConfigError
from device.log import Log

LANGUAGES = ("en", "de", "fr", "es")


@dataclasses.dataclass(frozen=True, slots=True)
class Camera(Checked):
    """Where frames come from."""

    source: str = setting("auto", checks.one_of("auto", "picamera2", "v4l2", "file", "porch", "pir"),
        "auto (the Pi's camera, else a webcam), picamera2, v4l2 (a webcam), file (a recording), porch (drawn), "
        "pir (a motion sensor on a pin, and no camera)")
    device: str = setting("/dev/video0", checks.text(200, 1), "the webcam, for v4l2")
    path: str = setting("", checks.text(1000), "a video file or a folder of numbered images, for file")
    pin: int = setting(4, checks.number(0, 53, "", int), "BCM number; the output of a PIR or radar for 3.3 V, for pir")
    mask: tuple[str, ...] = setting((), checks.mask,
        f'what is not looked at: {MASK_ROWS} rows of {MASK_COLUMNS}, "." watched, "#" not; doorstep walk writes it')
    frames_per_s: float = setting(10.0, checks.number(2, 30, "frames a second"), "how often the picture is looked at")

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.source == "file" and not self.path:
            raise ConfigError('source = "file" names no recording', 'add: path = "/the/recording.mp4"')

    @property
    def has_picture(self) -> bool:
        """Whether there is a picture at all, of which a recording could be made."""
        return self.source != "pir"


@dataclasses.dataclass(frozen=True, slots=True)
class Detector(Checked):
    """What counts as motion."""

    sensitivity: int = setting(3, checks.number(1, 5, "", int),
        "1 tells only the obvious, 5 tells more; 3 suits nearly all")


@dataclasses.dataclass(frozen=True, slots=True)
class Alerts(Checked):
    """How often the owner is told."""

    cooldown_s: float = setting(30.0, checks.number(0, 3600, "seconds"), "motion again within it is not told again")
    storm_alerts: int = setting(6, checks.number(1, 100, "alerts", int), "this many within storm_window_s is a storm")
    storm_window_s: float = setting(600.0, checks.number(10, 86400, "seconds"), "in a storm one alert in this time")
    quiet: str = setting("", checks.hours,
        'hours of the local day, such as "22:00-07:00": motion is a state then, and no alert; faults are told')


@dataclasses.dataclass(frozen=True, slots=True)
class Broker(Checked):
    """The MQTT broker that takes the alerts."""

    host: str = setting("", checks.matches(r"[A-Za-z0-9._:-]{0,253}", "a host name or an address, or nothing"),
        "its name as in its certificate; left out, a broker of our own is started, for this machine only")
    port: int = setting(8883, checks.number(1, 65535, "", int), "8883 is MQTT over TLS")
    tls: bool = setting(True, checks.flag, "false is refused unless the broker is on this machine")
    mqtt_version: str = setting("auto", checks.one_of("auto", "5", "3.1.1"),
        "auto is 5, or 3.1.1 where the broker has no 5")
    ca_file: str = setting("", checks.text(1000), "who vouches for the broker; left out, the system's authorities")
    user: str = setting("", checks.text(64), "its user name for this device")
    password_file: str = setting("", checks.text(1000), "a file with the password, which only we may read")
    cert_file: str = setting("", checks.text(1000), "a client certificate, instead of or beside a password")
    key_file: str = setting("", checks.text(1000), "that certificate's key, which only we may read")

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        changed = [item.name for item in dataclasses.fields(self) if getattr(self, item.name) != item.default]
        if changed and not self.host:
            raise ConfigError(f"{changed[0]} is set, but no host", 'add: host = "the broker\'s name"')
        if self.host and not self.tls and not is_loopback(self.host):
            raise ConfigError(f"tls = false, but {self.host} is another machine",
                              "plain MQTT is for this machine only; remove the line, and name its ca_file")
        for one, other in (("user", "password_file"), ("cert_file", "key_file")):
            if bool(getattr(self, one)) != bool(getattr(self, other)):
                raise ConfigError(f"{one} and {other} belong together", f"give both {one} and {other}, or neither")


@dataclasses.dataclass(frozen=True, slots=True)
class Recording(Checked):
    """What the record button does."""

    recipients: tuple[str, ...] = setting((), checks.lines(200, 8),
        "who can open the clips: the owner's age1..., from doorstep key new; with none, nothing is recorded")
    folder: str = setting("", checks.text(1000),
        "where clips lie; left out, systemd's state directory or the user's own")
    longest_s: float = setting(60.0, checks.number(1, 3600, "seconds"), "a recording ends by itself after this")
    width_px: int = setting(1920, checks.number(160, 4096, "pixels", int),
        "of the recorded picture at most; its shape is the camera's")
    height_px: int = setting(1080, checks.number(120, 2304, "pixels", int), "of the recorded picture at most")
    bitrate_mbit: float = setting(5.0, checks.number(0.2, 25, "Mbit/s"), "5 is 38 MB a minute")
    budget_mb: float = setting(2000.0, checks.number(1, 1e6, "MB"), "the most that all clips together may take")
    when_full: str = setting("refuse", checks.one_of("refuse", "delete-oldest"),
        "refuse new recordings, or delete-oldest")
    panel: str = setting("auto", checks.one_of("auto", "gpio", "terminal", "none"),
        "auto (the pins where there are some, else the keys r and p in a terminal), gpio, terminal, none")
    button_pin: int = setting(17, checks.number(0, 53, "", int), "BCM number; the button connects it to ground")
    led_pin: int = setting(27, checks.number(0, 53, "", int), "BCM number; the light that says what is recorded")

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.width_px % 2 or self.height_px % 2:
            raise ConfigError(f"{self.width_px} x {self.height_px} is no picture that H.264 takes",
                              "width_px and height_px must be even")
        if self.button_pin == self.led_pin:
            raise ConfigError(f"button_pin and led_pin are both {self.led_pin}", "the light needs a pin of its own")
        if self.budget_mb * 1e6 < self.clip_most_bytes:
            raise ConfigError(f"budget_mb = {self.budget_mb:g} does not hold one clip of {self.longest_s:g} s",
                              f"at least {math.ceil(self.clip_most_bytes / 1e6)}; or lower longest_s or bitrate_mbit")

    @property
    def clip_most_bytes(self) -> int:
        """The most that one clip may take: 1.3 times its bit rate (MPEG-TS adds 6 %, encoders exceed it), and 2 MB."""
        return int(self.longest_s * self.bitrate_mbit * 1e6 / 8 * 1.3) + 2_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Config(Checked):
    """One door."""

    id: str = setting("front-door", checks.matches(r"[a-z0-9][a-z0-9_-]{0,31}",
        "1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit"), "its name in MQTT topics")
    place: str = setting("front door", checks.text(60, 1), 'your words for it: "motion at front door"')
    language: str = setting("en", checks.one_of(*LANGUAGES), "of alerts and of Home Assistant's names: en, de, fr, es")
    camera: Camera = Camera()
    detector: Detector = Detector()
    alerts: Alerts = Alerts()
    broker: Broker = Broker()
    recording: Recording = Recording()

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        pin, panel = self.camera.pin, self.recording
        if not self.camera.has_picture and panel.panel in ("auto", "gpio") and pin in (panel.button_pin, panel.led_pin):
            raise ConfigError(f"pin {pin} is both the sensor's and the button's or the light's",
                              "the sensor needs a pin of its own: pin under [camera]")


_T = TypeVar("_T", bound=Checked)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse(text: str, name: str = "doorstep.toml", folder: Path | None = None,
          say: Callable[[str], None] | None = None) -> Config:
    """Make a Config of TOML; `say` that it is of an older version. Relative paths are taken from `folder`.

    Raise ConfigError naming file and key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}", "try: doorstep config example") from None
    version = versions.of(table, name)
    if say and version < versions.VERSION:
        say(f"{name} is of version {version}, and read as one of version {versions.VERSION}; nothing needs to be done")
    return build(Config, versions.current(table, version), name, "", folder)


def load(path: Path) -> Config:
    """Read and check a configuration file. Raise ConfigError where it cannot be read or is not legal."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: {why}", "make one with: doorstep config example > doorstep.toml") from None
    return parse(text, str(path), path.absolute().parent, Log("config").say)


def build(kind: type[_T], table: Mapping[str, object], name: str, where: str, folder: Path | None) -> _T:
    """Make a Checked of a table; an unknown key names the nearest known one. Raise ConfigError."""
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(known)
            raise ConfigError(f"{name}: {where}unknown setting {shown(key)}", hint)
        default = known[key].default
        if isinstance(default, Checked):
            if not isinstance(value, dict):
                raise ConfigError(f"{name}: {key} is a table", f"write it as [{key}]")
            value = build(type(default), value, name, f"[{key}] ", folder)
        elif isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        elif folder is not None and key.endswith(("_file", "path", "folder")) and isinstance(value, str) and value:
            value = str(folder / value)
        values[key] = value
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{name}: {where}{error.message}", error.hint) from None


def example() -> str:
    """Return a doorstep.toml that names every setting with its default; loading it gives Config()."""
    head = "# doorstep.toml: every setting with its default. Remove what you do not change.\n"
    return head + to_toml(Config(), words=True)


def to_toml(config: Checked, *, words: bool = False) -> str:
    """Write `config` as parse() reads it, each setting under its words if wanted."""
    lines: list[str] = []

    def add(part: Checked, table: str) -> None:
        lines.extend(["", f"[{table}]"] if table else [])
        for item in dataclasses.fields(part):  # type: ignore[arg-type]  # a dataclass; its tables come last
            value = getattr(part, item.name)
            if isinstance(value, Checked):
                add(value, item.name)
                continue
            lines.extend([f"# {item.metadata['words']}"] if words else [])
            lines.append(f"{item.name} = {json.dumps(value, ensure_ascii=False)}")

    if isinstance(config, Config):
        lines.extend(["# of this file's form; older ones are read too"] if words else [])
        lines.append(f"version = {versions.VERSION}")
    add(config, "")
    return "\n".join(lines) + "\n"
