#!/usr/bin/env python3
"""Draws the wiring and a screen of the walk test: `make drawings`; for your own pins `deploy/draw.py doorstep.toml`.

Rule 1: pins are the configuration's, and every line of the screen is the product's own; a test holds both against it.
Rule 2: the same code gives the same drawing: no clock, no terminal and no camera is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.style import Style

from device import config
from device.config import Config, Recording
from device.see.detector import Detector, Reason
from device.see.drawn import Drawn
from device.walk_model import Settings, State, Verdict, take_frame
from device.walk_screen import LEAST_COLUMNS, LEAST_ROWS, lines

FOLDER = Path(__file__).parent


def element(name: str, text: str | None = None, **attributes: object) -> str:
    """Return one element; an underscore in an attribute's name is a hyphen."""
    words = "".join(f' {key.replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{words}/>" if text is None else f"<{name}{words}>{escape(text, quote=False)}</{name}>"


def document(title: str, width: float, height: float, font: str, parts: Iterator[str]) -> str:
    """Return a whole drawing."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="{font}">'
    return "\n".join([head, element("title", title), *parts, "</svg>"]) + "\n"


# ---- which wire goes where

# What each pin of the 40 is, from pin 1: the number of a BCM pin, or its supply. As on every Pi since the B+.
HEADER = ("3V3", "5V", 2, "5V", 3, "GND", 4, 14, "GND", 15, 17, 18, 27, "GND", 22, 23, "3V3", 24, 10, "GND", 9, 25,
          11, 8, "GND", 7, 0, 1, 5, "GND", 6, 12, 13, "GND", 19, 16, 26, 20, "GND", 21)
GROUND, SUPPLY, SIGNAL, BUTTON, LIGHT, GREY = "#333333", "#c8553d", "#8fa6bb", "#1f6fb2", "#2b7a4b", "#666666"
WIDE, LEFT, STEP, ROW = 800, 82, 33, 34  # the first pin; between two columns, between the two rows
BUTTON_AWAY, LIGHT_AWAY = 95, 145  # how far from its row a part is drawn


def wiring(settings: Recording | None = None) -> str:
    """Return the wiring as SVG. ValueError for a pin that the header does not have."""
    own = settings or Recording()
    button = _with_ground(own.button_pin, ())
    light = _with_ground(own.led_pin, button, 6)  # room for two parts
    above, below = (any(pin % 2 == odd for pin in (*button, *light)) for odd in (0, 1))
    top = 130 + 130 * above
    high = top + ROW + 60 + 130 * below + 90
    return document("How the button and the light are wired to a Raspberry Pi", WIDE, high, "sans-serif",
                    _wiring(own, button, light, top, high))


def _wiring(own: Recording, button: tuple[int, int], light: tuple[int, int], top: int, high: int) -> Iterator[str]:
    said = {"font_size": 14, "x": 30}
    yield element("rect", width=WIDE, height=high, fill="#ffffff")
    yield element("text", "Button, light and camera", x=30, y=34, font_size=20, font_weight="bold")
    yield element("text", "The 40 pins of a Raspberry Pi, seen from above; pin 1, the square one, is in the corner.",
                  y=58, fill=GREY, **said)
    yield element("rect", x=LEFT - 42, y=top - 44, width=19 * STEP + 84, height=ROW + 88, rx=10, fill="#e6f0e6",
                  stroke="#89a889")
    yield from _pins({*button, *light}, top)
    yield from _loop(*button, top, BUTTON_AWAY, BUTTON, "button")
    yield from _loop(*light, top, LIGHT_AWAY, LIGHT, "light")
    yield element("text", f"The button: from BCM {own.button_pin} (pin {button[0]}) to ground (pin {button[1]}).",
                  y=high - 66, fill=BUTTON, **said)
    yield element("text", f"The light: from BCM {own.led_pin} (pin {light[0]}) through 330 ohms and an LED, "
                  f"long leg first, to ground (pin {light[1]}).", y=high - 44, fill=LIGHT, **said)
    yield element("text", "The camera: its ribbon in the socket marked CAM or CAMERA; or a webcam in a USB socket.",
                  y=high - 22, fill=GREY, **said)


def _with_ground(bcm: int, taken: tuple[int, ...], least: int = 0) -> tuple[int, int]:
    """Return the pin of a BCM number, and the nearest ground in the same row that is free and `least` pins away."""
    pin = HEADER.index(bcm) + 1
    grounds = [number for number, name in enumerate(HEADER, start=1) if name == "GND" and number % 2 == pin % 2]
    free = [number for number in grounds if number not in taken and abs(number - pin) >= least]
    return pin, min(free, key=lambda number: abs(number - pin))


def _at(pin: int, top: int) -> tuple[int, int]:
    """Return where a pin is drawn: the odd ones below, as with the pins at the board's upper edge."""
    return LEFT + (pin - 1) // 2 * STEP, top + ROW * (pin % 2)


def _pins(used: set[int], top: int) -> Iterator[str]:
    for number, name in enumerate(HEADER, start=1):
        x, y = _at(number, top)
        fill = GROUND if name == "GND" else SUPPLY if isinstance(name, str) else SIGNAL
        ring = {"stroke": "#000000", "stroke_width": 3} if number in used else {}
        if number == 1:
            yield element("rect", x=x - 11, y=y - 11, width=22, height=22, fill=fill, **ring)
        else:
            yield element("circle", cx=x, cy=y, r=11, fill=fill, **ring)
        yield element("text", str(number), x=x, y=y + 4, font_size=11, text_anchor="middle", fill="#ffffff")
        yield element("text", str(name), x=x, y=y + (29 if number % 2 else -19), font_size=11, text_anchor="middle",
                      font_weight="bold" if number in used else "normal")


def _loop(pin: int, ground: int, top: int, away: int, colour: str, word: str) -> Iterator[str]:
    """Draw the way from a pin through its part to ground, on the side of its row."""
    (x, row), (end, _), side = _at(pin, top), _at(ground, top), 1 if pin % 2 else -1
    y, near, way = row + side * away, row + side * 36, 1 if end > x else -1
    middle, line = (x + end) / 2, {"stroke": colour, "stroke_width": 3}
    yield element("path", d=f"M{x} {near} V{y} H{end} V{near}", fill="none", **line)
    if colour == BUTTON:
        yield element("rect", x=middle - 9, y=y - 6, width=18, height=12, fill="#ffffff")
        yield element("path", d=f"M{middle - 12} {y} L{middle + 9} {y - 13}", **line)
        for edge in (-11, 11):
            yield element("circle", cx=middle + edge, cy=y, r=4, fill=colour)
    else:
        resistor, led = x + way * abs(end - x) / 3, x + way * abs(end - x) * 2 / 3
        yield element("rect", x=resistor - 18, y=y - 8, width=36, height=16, fill="#ffffff", **line)
        yield element("path", d=f"M{led - way * 10} {y - 12} V{y + 12} L{led + way * 10} {y} Z", fill=colour)
        yield element("path", d=f"M{led + way * 11} {y - 12} V{y + 12}", **line)
    yield element("text", word, x=min(x, end) - 12, y=y + 5, font_size=14, text_anchor="end", fill=colour)


# ---- a screen of the walk test

LETTER_WIDE, LETTER_HIGH, EDGE = 8.4, 18, 14
LATER_FRAMES = 9  # after the first that is told: the visitor is well in the picture
INK = "#d5d9de"
INKS = {"red": "#e06c5b", "bright_red": "#ff8a7a", "yellow": "#c9a227", "bright_yellow": "#f5d76e", "green": "#7fc97f",
        "bright_green": "#98e098", "cyan": "#4fa8b5", "bright_cyan": "#6fd3e0", "blue": "#7aa6da"}


def walk() -> str:
    """Return, as SVG, what `doorstep walk` shows of the drawn porch about a second after a visitor is told of."""
    door = Config()
    settings = Settings.of(door)
    state, detector, later = State(settings, settings, door.place, "porch"), Detector(), 0
    for frame in Drawn(door.camera.frames_per_s).frames():
        told = detector.step(frame)
        state = take_frame(state, Verdict.of(detector, told, frame.t_s, frame.t_s))
        later += later > 0 or detector.reason is Reason.BODY
        if later > LATER_FRAMES:
            break
    wide, high = LEAST_COLUMNS * LETTER_WIDE + 2 * EDGE, LEAST_ROWS * LETTER_HIGH + 2 * EDGE
    return document("doorstep walk, while a visitor comes", wide, high, "monospace", _screen(state, wide, high))


def _screen(state: State, wide: float, high: float) -> Iterator[str]:
    console = Console(width=LEAST_COLUMNS, color_system="standard", force_terminal=True)
    yield element("rect", width=wide, height=high, rx=8, fill="#1e2227")
    for row, line in enumerate(lines(state, LEAST_COLUMNS, LEAST_ROWS)):
        column, y = 0, round(EDGE + (row + 0.75) * LETTER_HIGH, 1)
        for segment in line.render(console):
            text = segment.text.rstrip("\n")
            words = text.strip()
            if words:
                x = EDGE + (column + len(text) - len(text.lstrip())) * LETTER_WIDE
                kept = words.replace(" ", "\N{NO-BREAK SPACE}")  # else spaces in a row become one
                yield element("text", kept, x=round(x, 1), y=y, font_size=14,
                              textLength=round(len(words) * LETTER_WIDE, 1), **_ink(segment.style or Style()))
            column += len(text)


def _ink(style: Style) -> dict[str, object]:
    named = style.color is not None and not style.color.is_default
    return ({"fill": INKS[style.color.name] if named and style.color else INK}
            | ({"font_weight": "bold"} if style.bold else {}) | ({"opacity": 0.6} if style.dim else {}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(wiring(config.load(Path(sys.argv[1])).recording), end="")
    else:
        (FOLDER / "wiring.svg").write_text(wiring(), encoding="utf-8")
        (FOLDER / "walk.svg").write_text(walk(), encoding="utf-8")
