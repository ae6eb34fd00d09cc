"""The steps of `doorstep setup`, as a table: what each is called, how one sees that it is done, and what it does.

Rule 1: a step that is done is said to be, and not done again unless it is named.
Rule 2: what cannot be tried here is said, is left to do, and ends nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from broker.names import plain
from device import setup_broker, setup_camera
from device.errors import DoorstepError
from device.keep.gate import Light
from device.keep.owner_key import fresh
from device.keep.panel import Panel, open_panel
from device.keep.vault import read_recipients
from device.runtime import runtime_folder
from device.setup_answers import NEW, NONE
from device.setup_job import Job
from device.setup_talk import GREEN, RED, YELLOW

PRESS_MOST_S = 60.0  # to find the button, and to come back from the door


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    title: str
    done: Callable[[Job], str]  # how it is done already, in words; nothing where it is not
    do: Callable[[Job], None]


def _place(job: Job) -> None:
    place = job.talk.ask("place", job.config.place)
    name = job.talk.ask("id", job.config.id if job.names("id") else plain(place) or "front-door")
    job.propose({"id": name, "place": place})


def _place_is(job: Job) -> str:
    return f'"motion at {job.config.place}"' if job.names("place") else ""


def _never(_job: Job) -> str:
    return ""


def _camera(job: Job) -> None:
    talk, camera = job.talk, job.config.camera
    if not talk.ask("camera"):
        job.left.append("try the camera: doorstep setup camera")
        return
    talk.say(f"Looking for {setup_camera.LASTS_S:g} s ...")
    try:
        seen = setup_camera.look(job.config)
    except DoorstepError as error:
        talk.say(f"{error.message}. {error.hint}", RED)
        job.left.append("have the camera seen: doorstep setup camera")
        return
    talk.say(seen.in_words(camera.frames_per_s), GREEN)
    for doubt in seen.doubts(camera.frames_per_s):
        talk.say(doubt, YELLOW)
    job.left.append("walk past, see what is seen, and mask the street: doorstep walk")


def _button(job: Job) -> None:
    talk, config = job.talk, job.config
    if not talk.ask("button", default=True):
        job.left.append("try the button and the light: doorstep setup button")
        return
    try:
        panel = open_panel(config.recording, runtime_folder(dict(os.environ), config.id))
    except DoorstepError as error:
        talk.say(f"{error.message}. {error.hint}", RED)
        job.left.append("have the button and the light work: doorstep setup button")
        return
    if panel is None:
        talk.say("There is no button on this machine: nothing can be recorded, and watching needs none.")
        return
    talk.say("Nothing is recorded now: this tries the light and the button alone.")
    with contextlib.closing(panel):
        trouble = _pressed(job, panel)
    if not trouble and talk.seen("Was the light on until then, and is it off now?") is False:
        trouble = f"The light is at BCM pin {config.recording.led_pin}, with its resistor, and to ground."
    talk.say(trouble or "Button and light work.", RED if trouble else GREEN)
    if trouble:
        job.left.append("have the button and the light work: doorstep setup button")


def _pressed(job: Job, panel: Panel) -> str:
    """Light the light until the button is pressed; return what went wrong, in words."""
    if not panel.show(Light.ON):
        return f"The light cannot be lit: {panel.trouble}."
    job.talk.say("The light is on. Press the button now (in a terminal: r).")
    until_s = time.monotonic() + PRESS_MOST_S
    touched = False
    while not touched and not panel.is_gone and (left_s := until_s - time.monotonic()) > 0:
        select.select([panel], [], [], left_s)
        touched = any(panel.touches())
    panel.show(Light.OFF)
    pin = job.config.recording.button_pin
    return "" if touched else f"Nobody pressed it in {PRESS_MOST_S:g} s. It goes from BCM pin {pin} to ground."


def _key(job: Job) -> None:
    def test(answer: str) -> None:
        if answer not in (NEW, NONE):
            read_recipients((answer,))

    answer = job.talk.ask("key", test=test)
    if answer == NONE:
        job.left.append("if clips are wanted, name who can open them: doorstep setup key")
        return
    if answer == NEW:
        _, answer, _, identity = fresh()
        job.talk.secret("This opens your clips. It is shown this once and kept nowhere: put it into a file or a "
                        "password manager on your own computer, now.", identity)
    job.propose({"recording.recipients": [answer]})


def _key_is(job: Job) -> str:
    recipients = job.config.recording.recipients
    read_recipients(recipients)
    return ", ".join(f"{one[:16]}... can open clips" for one in recipients)


STEPS: dict[str, Step] = {
    "place": Step("The place", _place_is, _place),
    "camera": Step("The camera", _never, _camera),
    "button": Step("The button and the light", _never, _button),
    "key": Step("Who can open clips", _key_is, _key),
    "broker": Step("The broker", setup_broker.is_served, setup_broker.choose),
    "phone": Step("The first phone", setup_broker.phones, setup_broker.pair),
    "alert": Step("A test alert", _never, setup_broker.alert),
}
