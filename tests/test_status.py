"""`doorstep status`: one screen that says how the door is, and not when somebody came."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from device import __version__
from device.errors import DoorstepError
from device.status import status
from tests.rig import doorstep

TOML = 'place = "back door"\n[broker]\nhost = "broker.lan"\n[recording]\nrecipients = ["age1x"]\n'
WELL = {"see": "watching, 10 frames/s", "tell": "connected, last alert 12 min ago", "keep": "ready, 3 clips, room for 45 more"}


def shown(says: Mapping[str, str], **more: str) -> dict[str, dict[str, str]]:
    """What `systemctl show` prints of the three."""
    return {name: {"LoadState": "loaded", "ActiveState": "active", "NRestarts": "0", "StatusText": text, **more} for name, text in says.items()}


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "doorstep.toml").write_text(TOML)
    return tmp_path / "doorstep.toml"


def test_one_screen_shows_how_the_door_is(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing to look at when something seems wrong."""
    assert status(toml, False, shown(WELL).__getitem__) == 0
    screen = capsys.readouterr().out
    for words in (__version__, "back door", "10 frames/s", "broker.lan:8883, connected", "12 min ago", "3 clips, room for 45 more"):
        assert words in screen
    assert len(screen.splitlines()) < 24
    assert max(map(len, screen.splitlines())) <= 80
    assert not re.search(r"\d:\d\d\b(?!\d)", screen)  # no time of day


@pytest.mark.parametrize(("name", "says"), [("see", "no camera"), ("tell", "not connected, no alert yet"), ("keep", "no recording possible"), ("see", "")])
def test_what_is_amiss_is_marked_and_is_the_exit_status(name: str, says: str, toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that watches over the door needs no eyes."""
    assert status(toml, False, shown(WELL | {name: says}).__getitem__) == 1
    screen = capsys.readouterr().out
    assert re.search(rf"!!  {name} ", screen)
    assert "journalctl --namespace=doorstep" in screen


def test_a_taken_process_cannot_write_on_the_owners_screen(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a process says of itself is as little to be trusted as the process."""
    for text in ("\x1b[2Jall is well", "watching, 10 frames/s\x1b[2J", "watching at 12:31"):
        assert status(toml, False, shown(WELL | {"see": text}).__getitem__) == 1
        screen = capsys.readouterr().out
        assert "it says what it should not" in screen
        assert "\x1b" not in screen
        assert "12:31" not in screen


def test_json_says_the_same(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Monitoring reads it."""
    assert status(toml, True, shown(WELL, NRestarts="2").__getitem__) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["well"] is True
    assert said["processes"]["see"]["details"] == {"frames_per_s": "10"}
    assert said["processes"]["tell"]["details"] == {"broker": "connected", "last_alert": "12 min ago"}
    assert said["processes"]["keep"]["restarts"] == 2


def test_where_no_services_are_it_says_so(toml: Path) -> None:
    """A laptop with `doorstep run` has none."""
    with pytest.raises(DoorstepError, match="no services"):
        status(toml, False, lambda _name: {})
    done = doorstep("status", PATH="/nowhere")
    assert done.returncode == 2
    assert "deploy/install.sh" in done.stderr
