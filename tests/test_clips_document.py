"""CLIPS.md says how to check a clip without Doorstep; here its own lines are run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from device.keep import layout
from device.keep.statement import TITLE, Ended, fingerprint, parse
from tests.clips import Clips, video

TEXT = (Path(__file__).parent.parent / "CLIPS.md").read_text()
SECTION = TEXT.split("## Check it without Doorstep", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
SETUP, CLIP, SIGNATURE, DEVICE, CHAIN, OPEN = ("\n".join(re.findall(r"^    (.*)", part, re.MULTILINE))
                                              for part in SECTION.split("**")[::2])


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """Two clips, 6 and 7, and the owner's key beside them."""
    made = Clips(tmp_path / "clips")
    made.record(6)
    made.record(7, video())
    made.identity().rename(made.folder / "identity.txt")
    return made


def shell(clips: Clips, lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-eu", "-c", f"{SETUP}\n{lines}"], cwd=clips.folder, capture_output=True, text=True, check=False)


def test_the_documents_lines_verify_and_open_a_clip(clips: Clips) -> None:
    """Whoever has to believe it can do so without us."""
    for lines in (CLIP, SIGNATURE, CHAIN, OPEN):
        done = shell(clips, lines)
        assert done.returncode == 0, done.stderr
    whose = fingerprint(clips.device.public_key().public_bytes_raw()).removeprefix("SHA256:")
    assert shell(clips, DEVICE).stdout.splitlines() == [whose, whose]
    assert (clips.folder / "clip-000007.ts").read_bytes() == video()
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", str(clips.folder / "clip-000007.mp4")]
    assert "h264" in subprocess.run(probe, capture_output=True, text=True, check=True).stdout


def test_the_documents_lines_find_what_was_altered(clips: Clips) -> None:
    """A check that cannot fail is none."""
    said = clips.statement(7).read_bytes()
    clips.statement(7).write_bytes(said.replace(b"button", b"time"))
    assert shell(clips, SIGNATURE).returncode != 0
    clips.statement(7).write_bytes(said)
    clips.clip(7).write_bytes(b"x" + clips.clip(7).read_bytes()[1:])
    clips.statement(6).write_bytes(said)
    for lines in (CLIP, CHAIN, OPEN):
        assert shell(clips, lines).returncode != 0


def test_the_documents_statement_is_one(clips: Clips) -> None:
    """Its lines, its order, its words."""
    block = re.search(rf"^    {TITLE}\n(?:    .*\n)+", TEXT, re.MULTILINE)
    assert block
    lines = [line.strip() for line in block[0].splitlines()]
    real = clips.statement(7).read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == [line.split(":")[0] for line in real]
    signed = "\n".join([*lines[:-1], real[-1]]) + "\n"
    assert parse(signed.encode()).statement.sequence == 7
    for word in (*(f"`{ended}`" for ended in Ended), str(layout.MOST), layout.KEY, layout.PUBLIC, layout.clip(7), layout.statement(7)):
        assert word in TEXT
