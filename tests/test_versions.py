"""Ten years of doorstep.toml: what was released once is read for ever, and what is not known yet is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import tomllib
from pathlib import Path

import pytest

from broker import certificates
from broker.pairing import Pairing, door_toml
from device import config, versions
from device.config import Config
from device.errors import ConfigError
from device.setup_job import NEW_FILE
from device.walk_model import Settings
from device.walk_save import save

ROOT = Path(__file__).parent.parent
RELEASED = sorted((Path(__file__).parent / "released").iterdir())


def test_there_is_a_step_from_every_version_to_the_next() -> None:
    """A hole in the chain is a door that does not start after an upgrade."""
    assert set(versions.STEPS) == set(range(1, versions.VERSION))


def test_every_release_left_its_form() -> None:
    """What is not kept is not tried."""
    releases = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sorted(f"{release}.toml" for release in releases) == [path.name for path in RELEASED] != []


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.name)
def test_every_released_form_is_read_as_it_was_meant(path: Path) -> None:
    """Who upgrades in ten years must not come home to a door that wants to be configured."""
    text = path.read_text()
    table = tomllib.loads(text)
    meant = versions.current(table, versions.of(table, path.name))
    found = dataclasses.asdict(config.parse(text))
    for key, value in meant.items():
        if isinstance(value, dict):
            assert {name: list(seen) if isinstance(seen, tuple) else seen for name, seen in found[key].items() if name in value} == value
        else:
            assert found[key] == value
    assert sum(len(value) if isinstance(value, dict) else 1 for value in meant.values()) > 25


@pytest.fixture
def _third(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Doorstep two versions on: the first called the place a name, the second counted sensitivity in tens."""
    def from_first(table: versions.Table) -> versions.Table:
        return {"place" if key == "name" else key: value for key, value in table.items()}

    def from_second(table: versions.Table) -> versions.Table:
        return {key: {"sensitivity": value["tens"] // 10} if key == "detector" else value for key, value in table.items()}

    monkeypatch.setattr(versions, "VERSION", 3)
    monkeypatch.setattr(versions, "STEPS", {1: from_first, 2: from_second})


@pytest.mark.usefixtures("_third")
@pytest.mark.parametrize(("text", "of"), [
    ('name = "garden gate"\n[detector]\ntens = 40\n', 1),
    ('version = 1\nname = "garden gate"\n[detector]\ntens = 40\n', 1),
    ('version = 2\nplace = "garden gate"\n[detector]\ntens = 40\n', 2),
    ('version = 3\nplace = "garden gate"\n[detector]\nsensitivity = 4\n', 3),
])
def test_an_older_file_is_read_as_if_written_today_and_that_is_said_in_one_line(
        text: str, of: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An upgrade asks nothing of an owner, and changes no file of his."""
    path = tmp_path / "doorstep.toml"
    path.write_text(text)
    found = config.load(path)
    assert (found.place, found.detector.sensitivity) == ("garden gate", 4)
    assert path.read_text() == text
    said = capsys.readouterr().err.splitlines()
    assert said == ([f"doorstep config: {path} is of version {of}, and read as one of version 3; nothing needs to be done"] if of < 3 else [])


@pytest.mark.parametrize(("text", "says", "hint"), [
    (f"version = {versions.VERSION + 1}\nsomething = 'new'", f"is of version {versions.VERSION + 1}", "upgrade Doorstep"),
    ("version = 0", "version = 0", "allowed: 1 to"),
    ("version = true", "version = true", "allowed: 1 to"),
    ("version = '1'", 'version = "1"', "allowed: 1 to"),
    ("version = 1.0", "version = 1.0", "allowed: 1 to"),
])
def test_a_version_that_is_not_known_is_refused_before_anything_else(text: str, says: str, hint: str) -> None:
    """Half understood, a file of a newer version could watch where it must not."""
    with pytest.raises(ConfigError) as refused:
        config.parse(text)
    assert says in refused.value.message
    assert hint in refused.value.hint


def test_whatever_writes_a_file_says_of_which_version_it_is(tmp_path: Path) -> None:
    """Else what is written today would be read in ten years as a file of 0.1.0."""
    save(tmp_path / "walked.toml", dataclasses.replace(Settings.of(Config()), sensitivity=4))
    ca = certificates.authority(certificates.new_key(), ("broker.lan",), dt.datetime.now(dt.UTC))
    paper = Pairing("front-door", "broker.lan", 8883, "doorstep-front-door", "abcde", (), ca)
    installer = (ROOT / "deploy" / "install.sh").read_text()
    written = re.search(r'echo "(version = \d+)"', installer)
    assert written
    for text in (config.example(), config.to_toml(Config()), door_toml(paper, "front-door"), (tmp_path / "walked.toml").read_text(), NEW_FILE, written[1]):
        assert tomllib.loads(text)["version"] == versions.VERSION
