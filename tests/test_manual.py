"""The manual page and the drawings: made by scripts, and what the scripts would make today."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

from broker import usage as broker_usage
from device.usage import COMMANDS

DEPLOY = Path(__file__).parent.parent / "deploy"


def made_by(script: str, function: str) -> str:
    made: str = runpy.run_path(str(DEPLOY / script))[function]()
    return made


def test_the_manual_page_is_what_help_says_today() -> None:
    """`man doorstep` outlives a command that was changed, unless something compares them. If this fails: make man."""
    assert (DEPLOY / "doorstep.1").read_text() == made_by("man.py", "page")


def test_the_manual_page_has_every_command_and_its_examples() -> None:
    """A page that leaves one out hides it."""
    page = (DEPLOY / "doorstep.1").read_text()
    for name, (_, detail) in (COMMANDS | broker_usage.COMMANDS).items():
        assert f".SS doorstep {name}\n" in page
        example = detail.rpartition("\n  ")[2].replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
        assert f"\n{example}\n" in page


def test_the_manual_page_is_well_formed() -> None:
    """A reader elsewhere, such as a Mac's, takes less than groff does."""
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", DEPLOY / "doorstep.1"], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stdout.splitlines() if "missing date" not in line]  # a version says of when it is
    assert complaints == []
