"""`doorstep setup`: the guided first set-up, in a terminal or from a file of answers.

Rule 1: it may be left at any time; the same command goes on where it was left, by what lies in the files.
Rule 2: nothing is changed that was not shown before.
Rule 3: services that it stops, to have the camera and the pins, it starts again, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from device import setup_answers
from device.config import Broker
from device.errors import DoorstepError
from device.notify import LINES
from device.setup_job import INSTALLER, Job
from device.setup_steps import STEPS
from device.setup_talk import GREEN, RED, YELLOW, File, Talk, Terminal
from device.status import read, shown
from device.usage import INSTALLED

HANDS_ON = ("camera", "button", "alert")  # what these try, the services have
_UNITS = ["doorstep.target", *(f"doorstep-{name}.socket" for name in (*LINES, "tell-keep")),
          *(f"doorstep-{name}.service" for name in LINES)]


def default_path() -> Path:
    """Return which doorstep.toml is set up if none is named and none is there yet."""
    return INSTALLED if os.geteuid() == 0 and INSTALLED.parent.is_dir() else Path("doorstep.toml")


def setup(path: Path, answers: Path | None, names: Sequence[str], *, write: bool) -> int:
    """Go through the steps, or those named; return 0 when all was gone through, 130 when it was left."""
    talk: Talk = Terminal() if answers is None else File(setup_answers.load(answers), write=write)
    job = Job(path, talk)
    talk.say(f"Doorstep's first set-up, for {path.absolute()}. Ctrl-C leaves it at any time; the same command goes on "
             "from there. Nothing is changed that was not shown before.")
    broker = job.config.broker
    try:
        with ExitStack() as stack:
            for sign in (signal.SIGTERM, signal.SIGHUP):  # a window that is closed must not leave a door unwatched
                stack.callback(signal.signal, sign, signal.signal(sign, signal.default_int_handler))
            tried = _free(job, [name for name in names or STEPS if name in HANDS_ON], stack)
            for number, (name, step) in enumerate(STEPS.items(), start=1):
                if not names or name in names:
                    talk.title(number, step.title)
                    _go(job, name, named=bool(names), tried=tried)
    except (KeyboardInterrupt, EOFError):
        print()
        talk.say("Left. What was agreed to is done and kept; the same command goes on from here.")
        return 130
    _finish(job, broker)
    return 0


def _go(job: Job, name: str, *, named: bool, tried: bool) -> None:
    step = STEPS[name]
    if name in HANDS_ON and not tried:
        job.talk.say("The services have it: see doorstep status.")
        return
    try:
        done = "" if named else step.done(job)
        if done:
            job.talk.say(f"Done already: {done}", GREEN)
        else:
            step.do(job)
    except DoorstepError as error:
        if not job.talk.patient:
            raise
        job.talk.say(f"{error.message}; {error.hint}", RED)
        job.left.append(f"{step.title.lower()}, again: doorstep setup {name}")


def _free(job: Job, names: Sequence[str], stack: ExitStack) -> bool:
    """Whether camera, pins and the door's place at the broker are free, or were freed."""
    states = [shown(name) for name in LINES]
    if not names or not any(state.get("ActiveState") in ("active", "activating") for state in states):
        return True
    for name, state in zip(LINES, states, strict=True):
        job.talk.say(f"doorstep-{name} runs: {read(name, state).says or 'says nothing'}")
    if not job.talk.agree("Stop the services while camera, button and alerts are tried, and start them again after?"):
        return False
    _systemctl("stop", *_UNITS)
    stack.callback(_systemctl, "start", "doorstep.target")
    job.restarted = True
    return True


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)  # noqa: S607 - the owner's own
    if done.returncode:
        raise DoorstepError(f"systemctl {words[0]}: {done.stderr.strip()}", "try: sudo doorstep setup")


def _finish(job: Job, broker: Broker) -> None:
    installed = bool(shown("tell").get("LoadState") == "loaded")
    left = list(dict.fromkeys(job.left))
    if installed and job.config.broker != broker:
        left.insert(0, f"let the services reach this broker, and no other: {INSTALLER}")
    elif installed and job.changed and not job.restarted:
        left.insert(0, "let the services take the new settings: sudo systemctl restart doorstep.target")
    elif not installed and job.path.exists():
        left.append(f"watch: doorstep run --config {job.path}")
    if installed:
        left.append("see that every promise is kept here: sudo doorstep verify")
    job.talk.title(len(STEPS) + 1, "What is left to do" if left else "Nothing is left to do")
    for item in left:
        job.talk.say(f"- {item}", YELLOW)
