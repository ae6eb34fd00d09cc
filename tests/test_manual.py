"""The manual page and the drawings: made by scripts, and what the scripts would make today."""

from __future__ import annotations

import re
import runpy
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.pi import PiBoardInfo

from broker import usage as broker_usage
from device.config import Recording
from device.usage import COMMANDS

DEPLOY = Path(__file__).parent.parent / "deploy"


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(DEPLOY / name))


def words(drawing: str) -> list[str]:
    return [(element.text or "").replace("\N{NO-BREAK SPACE}", " ") for element in ET.fromstring(drawing).iter()]


def said(drawing: str) -> str:
    """What stands on a screen, whatever the cells show and however it is cut into pieces."""
    return " ".join(re.sub("[·█▓▒░\\d]+", " ", " ".join(words(drawing))).split())


def lit(drawing: str) -> int:
    return sum(len(re.findall("██|▓▓|▒▒|░░", line)) for line in words(drawing))


def test_the_manual_page_is_what_help_says_today() -> None:
    """`man doorstep` outlives a command that was changed, unless something compares them. If this fails: make man."""
    assert (DEPLOY / "doorstep.1").read_text() == script("man.py")["page"]()


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


def test_the_drawings_are_what_the_product_is_today() -> None:
    """Whoever wires by a drawing must not wire by an old one. If this fails: make drawings, and look at them."""
    draw = script("draw.py")
    assert (DEPLOY / "wiring.svg").read_text() == draw["wiring"]()
    kept, made = (DEPLOY / "walk.svg").read_text(), draw["walk"]()
    assert said(kept) == said(made)
    assert "motion at front door" in said(made)
    assert 5 < lit(made) < 30
    assert abs(lit(kept) - lit(made)) < 4  # another NumPy rounds otherwise, and a cell more or less is seen to change


@pytest.mark.parametrize(("button", "light"), [(17, 27), (23, 5), (0, 1), (26, 21), (2, 3), (13, 19)])
def test_the_wiring_is_that_of_the_configured_pins_and_no_wire_ends_at_a_supply(button: int, light: int) -> None:
    """A wire in the wrong hole can end a Pi."""
    draw = script("draw.py")
    said = " ".join(words(draw["wiring"](Recording(button_pin=button, led_pin=light))))
    for bcm, part in ((button, "button"), (light, "light")):
        pin, ground = draw["_with_ground"](bcm, ())
        assert draw["HEADER"][pin - 1] == bcm
        assert draw["HEADER"][ground - 1] == "GND"
        assert f"The {part}: from BCM {bcm} (pin {pin})" in said


def test_the_header_is_a_raspberry_pis() -> None:
    """gpiozero knows the board (a 4B); the drawing must agree with it."""
    pins = PiBoardInfo.from_revision(0xC03111).headers["J8"].pins
    drawn = [name if isinstance(name, str) else f"GPIO{name}" for name in script("draw.py")["HEADER"]]
    assert drawn == [pins[number].name for number in range(1, 41)]
