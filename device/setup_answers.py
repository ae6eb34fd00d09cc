"""What `doorstep setup` asks: each question once, with its default and what may be answered.

Rule 1: a file of answers and a person at a terminal are asked the same, and held to the same.
Rule 2: no secret is an answer; an answer names the file that holds it.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from device import checks, config
from device.checks import Checked, setting
from device.errors import ConfigError

HERE, NONE, NEW = "here", "none", "new"
HEAD = """\
# Answers for: doorstep setup --answers FILE
# Each with what is taken if it is left out. Remove what you do not change.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Answers(Checked):
    """Every answer. Its words are the question."""

    place: str = setting("front door", checks.text(60, 1), 'your words for the place, as in "motion at front door"')
    id: str = setting("", checks.matches(r"([a-z0-9][a-z0-9_-]{0,31})?",
        "1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit"), "its name in MQTT topics")
    camera: bool = setting(True, checks.flag, "try the camera for a few seconds? Only numbers are shown")
    button: bool = setting(False, checks.flag, "try the button and the light? It needs your finger")
    key: str = setting(NONE, checks.text(200, 1),
        "who can open clips: the age1... of your key; new (one is made and shown once); none (nothing is recorded)")
    broker: str = setting(HERE, checks.matches(r"[A-Za-z0-9._:-]{1,253}", "here, none, or a host name or an address"),
        "the MQTT broker: here (it is set up), its name or address, or none (for trying out)")
    hosts: tuple[str, ...] = setting((), checks.lines(253, 8), "the names and addresses by which phones will reach it")
    broker_options: str = setting("", checks.text(1000), "more options for doorstep broker setup")
    port: int = setting(8883, checks.number(1, 65535, "", int), "its port, with TLS")
    ca_file: str = setting("", checks.text(1000), "the file that vouches for it; nothing: the system's authorities")
    user: str = setting("", checks.text(64), "its user name for this door; nothing: none")
    password_file: str = setting("", checks.text(1000), "a file with the password, which only you may read")
    phone: str = setting("", checks.matches(r"([a-z0-9][a-z0-9_-]{0,31})?", "a plain name, such as anna"),
        "a name for the first phone, such as anna; nothing: none now")
    alert: bool = setting(True, checks.flag, "send a test alert, now that the phone is paired?")


FIELDS = {item.name: item for item in dataclasses.fields(Answers)}


def load(path: Path) -> Answers:
    """Read a file of answers; paths in it are taken from its folder. Raise ConfigError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        why = (error.strerror or "cannot be read") if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: {why}", "try: doorstep setup --example > answers.toml") from None
    return config.build(Answers, table, str(path), "", path.absolute().parent)


def example() -> str:
    """Return a file of answers that names every one with its default."""
    return HEAD + config.to_toml(Answers(), words=True)
