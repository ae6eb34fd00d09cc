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
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from device.errors import ConfigError

_Check = Callable[[object], str | None]  # None where legal, else what would be


def _text(most_bytes: int, least: int = 0) -> _Check:
    """One line of printable text; bytes are what MQTT's limits count."""

    def check(value: object) -> str | None:
        legal = isinstance(value, str) and value.isprintable() and value == value.strip() and len(value) >= least
        if legal and isinstance(value, str) and len(value.encode(errors="replace")) <= most_bytes:
            return None
        return f"one line of printable text, {least} to {most_bytes} bytes, no space at either end"

    return check


def _matches(pattern: str, words: str) -> _Check:
    def check(value: object) -> str | None:
        return None if isinstance(value, str) and re.fullmatch(pattern, value) else words

    return check


def _one_of(*options: str) -> _Check:
    def check(value: object) -> str | None:
        return None if value in options else "one of " + ", ".join(json.dumps(option) for option in options)

    return check


def _number(least: float, most: float, unit: str, kind: type = float) -> _Check:
    def check(value: object) -> str | None:
        right_type = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if right_type and least <= value <= most:  # type: ignore[operator]  # a number, as just seen
            return None
        noun = "a whole number" if kind is int else "a number"
        return f"{noun} from {least:g} to {most:g}{' ' + unit if unit else ''}"

    return check


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


MASK_COLUMNS, MASK_ROWS = 16, 12  # cells of 10 x 10 pixels of the watching stream


def _mask(value: object) -> str | None:
    if isinstance(value, (list, tuple)):
        right = all(isinstance(row, str) and re.fullmatch(rf"[.#]{{{MASK_COLUMNS}}}", row) for row in value)
        if right and len(value) in (0, MASK_ROWS) and (not value or any("." in row for row in value)):
            return None
    return f'nothing, or {MASK_ROWS} rows of {MASK_COLUMNS} of "." (watched) and "#" (masked), one "." at least'


def _setting(default: Any, check: _Check, words: str) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, "words": words})


class _Checked:
    """A dataclass whose every field passes its check, however it is made."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if "check" not in item.metadata:
                continue
            value = getattr(self, item.name)
            allowed = item.metadata["check"](value)
            if allowed is not None:
                raise ConfigError(f"{item.name} = {_shown(value)} is not allowed", f"allowed: {allowed}")


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclasses.dataclass(frozen=True, slots=True)
class Camera(_Checked):
    """Where frames come from."""

    source: str = _setting("auto", _one_of("auto", "picamera2", "v4l2", "file", "porch"),
        "auto (the Pi's camera, else a webcam), picamera2, v4l2 (a webcam), file (a recording), porch (drawn)")
    device: str = _setting("/dev/video0", _text(200, 1), "the webcam, for v4l2")
    path: str = _setting("", _text(1000), "a video file or a folder of numbered images, for file")
    mask: tuple[str, ...] = _setting((), _mask,
        f'what is not looked at: {MASK_ROWS} rows of {MASK_COLUMNS}, "." watched, "#" not; doorstep walk writes it')
    frames_per_s: float = _setting(10.0, _number(2, 30, "frames a second"), "how often the picture is looked at")

    def __post_init__(self) -> None:
        _Checked.__post_init__(self)
        if self.source == "file" and not self.path:
            raise ConfigError('source = "file" names no recording', 'add: path = "/the/recording.mp4"')


@dataclasses.dataclass(frozen=True, slots=True)
class Detector(_Checked):
    """What counts as motion."""

    sensitivity: int = _setting(3, _number(1, 5, "", int), "1 tells only the obvious, 5 tells more; 3 suits nearly all")


@dataclasses.dataclass(frozen=True, slots=True)
class Alerts(_Checked):
    """How often the owner is told."""

    cooldown_s: float = _setting(30.0, _number(0, 3600, "seconds"), "motion again within it is not told again")
    storm_alerts: int = _setting(6, _number(1, 100, "alerts", int), "this many within storm_window_s is a storm")
    storm_window_s: float = _setting(600.0, _number(10, 86400, "seconds"), "in a storm one alert in this time")


@dataclasses.dataclass(frozen=True, slots=True)
class Broker(_Checked):
    """The MQTT broker that takes the alerts."""

    host: str = _setting("", _matches(r"[A-Za-z0-9._:-]{0,253}", "a host name or an address, or nothing"),
        "its name as in its certificate; left out, a broker of our own is started, for this machine only")
    port: int = _setting(8883, _number(1, 65535, "", int), "8883 is MQTT over TLS")
    tls: bool = _setting(True, _flag, "false is refused unless the broker is on this machine")
    mqtt_version: str = _setting("auto", _one_of("auto", "5", "3.1.1"), "auto is 5, or 3.1.1 where the broker has no 5")
    ca_file: str = _setting("", _text(1000), "who vouches for the broker; left out, the system's authorities")
    user: str = _setting("", _text(64), "its user name for this device")
    password_file: str = _setting("", _text(1000), "a file with the password, which only we may read")
    cert_file: str = _setting("", _text(1000), "a client certificate, instead of or beside a password")
    key_file: str = _setting("", _text(1000), "that certificate's key, which only we may read")

    def __post_init__(self) -> None:
        _Checked.__post_init__(self)
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
class Config(_Checked):
    """One door."""

    id: str = _setting("front-door", _matches(r"[a-z0-9][a-z0-9_-]{0,31}",
        "1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit"), "its name in MQTT topics")
    place: str = _setting("front door", _text(60, 1), 'your words for it: "motion at front door"')
    camera: Camera = Camera()
    detector: Detector = Detector()
    alerts: Alerts = Alerts()
    broker: Broker = Broker()


_T = TypeVar("_T", bound=_Checked)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse(text: str, name: str = "doorstep.toml", folder: Path | None = None) -> Config:
    """Make a Config of TOML. Relative paths are taken from `folder`. Raise ConfigError naming file and key."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}", "try: doorstep config example") from None
    return _build(Config, table, name, "", folder)


def load(path: Path) -> Config:
    """Read and check a configuration file. Raise ConfigError where it cannot be read or is not legal."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: {why}", "make one with: doorstep config example > doorstep.toml") from None
    return parse(text, str(path), path.absolute().parent)


def _build(kind: type[_T], table: Mapping[str, object], name: str, where: str, folder: Path | None) -> _T:
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(known)
            raise ConfigError(f"{name}: {where}unknown setting {_shown(key)}", hint)
        default = known[key].default
        if isinstance(default, _Checked):
            if not isinstance(value, dict):
                raise ConfigError(f"{name}: {key} is a table", f"write it as [{key}]")
            value = _build(type(default), value, name, f"[{key}] ", folder)
        elif isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        elif folder is not None and key.endswith(("_file", "path")) and isinstance(value, str) and value:
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


def to_toml(config: Config, *, words: bool = False) -> str:
    """Write `config` as parse() reads it, each setting under its words if wanted."""
    lines: list[str] = []

    def add(part: _Checked, table: str) -> None:
        lines.extend(["", f"[{table}]"] if table else [])
        for item in dataclasses.fields(part):  # type: ignore[arg-type]  # a dataclass; its tables come last
            value = getattr(part, item.name)
            if isinstance(value, _Checked):
                add(value, item.name)
                continue
            lines.extend([f"# {item.metadata['words']}"] if words else [])
            lines.append(f"{item.name} = {json.dumps(value, ensure_ascii=False)}")

    add(config, "")
    return "\n".join(lines) + "\n"
