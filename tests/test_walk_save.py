"""What the walk test saves: the settings alone, all else as it stood, or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import config
from device.checks import MASK_ROWS
from device.config import Config
from device.errors import ConfigError
from device.walk_model import Settings
from device.walk_save import edited, save
from tests.walked import NOTHING

WRITTEN = """\
# my door
place = "front door"   # as the family says

[camera] # the Pi's
source = "porch"
# half of what it could:
frames_per_s = 5

# more of it in autumn
[detector]
sensitivity   =   3   # leaves

[alerts]
cooldown_s = 10.0
"""
LEFT = Settings(("#" * 8 + "." * 8,) * MASK_ROWS, 4)


def test_saving_keeps_comments_order_and_form_and_loads_as_meant(tmp_path: Path) -> None:
    """It is the owner's file."""
    path = tmp_path / "doorstep.toml"
    path.write_text(WRITTEN)
    path.chmod(0o640)
    words = save(path, LEFT)
    after = path.read_text()
    rows = "".join(f'    "{row}",\n' for row in LEFT.mask)
    assert after == WRITTEN.replace("frames_per_s = 5\n", f"frames_per_s = 5\nmask = [\n{rows}]\n").replace("   3   ", "   4   ")
    door = config.load(path)
    assert door.camera.mask == LEFT.mask
    assert dataclasses.replace(door, camera=config.Camera(), detector=config.Detector()) == \
        dataclasses.replace(config.parse(WRITTEN), camera=config.Camera(), detector=config.Detector())
    assert door.detector.sensitivity == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert str(path) in words
    assert "96 of 192" in words
    assert list(tmp_path.iterdir()) == [path]
    save(path, dataclasses.replace(NOTHING, sensitivity=3))
    assert path.read_text() == re.sub(r"mask = \[.*?\]", "mask = []", WRITTEN.replace("frames_per_s = 5\n", "frames_per_s = 5\nmask = []\n"), flags=re.DOTALL)


@pytest.mark.parametrize("before", [
    "", "place = 'x'", "# only a comment\n", "camera.source = 'porch'\n", "camera = {source = 'porch'} # inline\n", "[detector]\n",
    "[camera]\nmask = [ # mine\n" + "  '................', # sky\n" * 12 + "] # end\n", "[camera]\nmask = []\n",
    "[camera]\nsource = 'porch'\n\n# the broker\n[broker]\nhost = 'broker.lan'\n", config.example(), WRITTEN.replace("\n", "\r\n"),
    "[camera]\nsource = 'file'\npath = 'walk.mkv'\n",
])
def test_any_way_of_writing_the_file_is_kept(before: str, tmp_path: Path) -> None:
    """Dotted keys, inline tables, comments within the mask, lines from Windows."""
    after = edited(before, LEFT, "doorstep.toml", tmp_path)
    door, meant = config.parse(after, folder=tmp_path), config.parse(before, folder=tmp_path)
    assert door == dataclasses.replace(meant, camera=dataclasses.replace(meant.camera, mask=LEFT.mask), detector=config.Detector(4))
    assert re.findall(r"#(?![.#\"]).*", after) == re.findall(r"#(?![.#\"]).*", before)
    assert ("\r\n" in after) == ("\r\n" in before)
    assert edited(after, LEFT, "doorstep.toml", tmp_path) == after
    assert edited(before, Settings.of(meant), "doorstep.toml", tmp_path).rstrip() == before.rstrip()


def test_a_new_file_is_made_where_there_is_none_and_a_link_stays_a_link(tmp_path: Path) -> None:
    """Many a doorstep.toml lives in somebody's dotfiles."""
    path = tmp_path / "doorstep.toml"
    save(path, LEFT)
    assert config.load(path) == Config(camera=config.Camera(mask=LEFT.mask), detector=config.Detector(4))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    save(link, NOTHING)
    assert link.is_symlink()
    assert config.load(path) == Config()


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere; an owner may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o666), (0o777, 0o444)])
def test_what_cannot_be_written_is_one_clear_line_and_the_file_is_as_it_was(
    runtime_folder: Path, folder_mode: int, file_mode: int
) -> None:
    """/etc belongs to root."""
    folder = runtime_folder / "etc"
    folder.mkdir()
    path = folder / "doorstep.toml"
    path.write_text(WRITTEN)
    path.chmod(file_mode)
    runtime_folder.chmod(0o755)
    folder.chmod(folder_mode)
    with as_nobody(), pytest.raises(ConfigError) as refused:
        save(path, LEFT)
    folder.chmod(0o755)
    assert refused.value.message.startswith(f"{path}: ")
    assert "\n" not in refused.value.message + refused.value.hint
    assert path.read_text() == WRITTEN
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"place = ", b"plaice = 'x'", b"\xff\xfe", b"[camera]\nframes_per_s = 0"])
def test_a_file_that_has_become_illegal_is_not_touched(tmp_path: Path, content: bytes) -> None:
    """Somebody edits it in another window: theirs is not overwritten."""
    path = tmp_path / "doorstep.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        save(path, LEFT)
    assert refused.value.hint
    assert "\n" not in refused.value.message
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    """A stick that was pulled."""
    with pytest.raises(ConfigError, match="No such file"):
        save(tmp_path / "gone" / "doorstep.toml", LEFT)
