"""Every command: its words, its options, its examples. What `--help` says.

Rule 1: every line fits into 80 columns, and every command has an example.
Rule 2: nothing is imported for it and nothing runs; the commands themselves are handed in.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from device import __version__, usage_owner

SOCKET = "/run/doorstep/tell.sock"
KEEP_TO_TELL, KEEP_TO_SEE = "/run/doorstep/tell-keep.sock", "/run/doorstep/see.sock"
VIDEO = "/run/doorstep/video.sock"
INSTALLED = Path("/etc/doorstep/doorstep.toml")
Run = Callable[[argparse.Namespace], int]

OVERVIEW = """\
A door camera that tells and never shows. It watches the door by frame
differencing and sends the words "motion at front door" over MQTT. No picture
is stored or sent, unless you press the record button on the device; then the
clip is encrypted to your key."""

EXAMPLES = """\
examples:
  doorstep demo                             see it work, in half a minute
  doorstep setup                            the guided first set-up
  doorstep config example > doorstep.toml   every setting with its default
  doorstep config check doorstep.toml       say what is wrong with it
  doorstep run --config doorstep.toml       watch and tell, until Ctrl-C
  doorstep status                           how the installed door is
  doorstep verify                           whether it keeps its promises
  doorstep walk                             walk past and see what is seen
  doorstep replay walk.mp4                  what would have been told of it
  doorstep key new                          the key that opens recordings
  doorstep clips open CLIP                  turn a recording into a video

exit status:
  0  done
  1  failed while running, or a clip is not all that it should be
  2  wrong usage, configuration, file or camera; the line says which

files:
  doorstep.toml  is looked for in this folder, then in /etc/doorstep, unless
                 --config names one

environment:
  RUNTIME_DIRECTORY   where alerts wait for the broker; must be in memory
  STATE_DIRECTORY     where clips lie, unless folder says where; else
                      XDG_STATE_HOME/doorstep/ID or ~/.local/state/doorstep/ID
  NO_COLOR            no colour, in a terminal either
  DOORSTEP_TRACEBACK  show where an unexpected error came from"""

# Commands of two words: what the first one is for.
GROUPS: dict[str, str] = {
    **usage_owner.GROUPS,
    "config": "write or check doorstep.toml",
}

SETUP_STEPS = ("place", "camera", "button", "key", "broker", "phone", "alert")

# For each command: what it is for, and what is said below its options.
COMMANDS: dict[str, tuple[str, str]] = {
    "setup": ("the guided first set-up: camera, button, key, broker, phone", """\
Asks, tries and shows: the place, the camera (numbers, no picture), the button,
who can open clips, the broker, the first phone, a test alert. Each change is
shown before it is made. It can be left at any time and goes on from there. A
STEP that is named is done again.

examples:
  doorstep setup
  doorstep setup camera button         (these two, again)
  doorstep setup --example > answers.toml
  doorstep setup --answers answers.toml --dry-run"""),
    "run": ("watch and tell on this machine, until Ctrl-C", """\
Starts see, tell and keep as children and restarts the one that dies. With no
broker configured it starts one for this machine only. Without pins for a button
r in the terminal records, and p pauses.

example:
  doorstep run --config doorstep.toml"""),
    "see": ("the process with the camera, as systemd starts it", """\
It has no network. It writes one byte an event to the socket of tell. Where
systemd hands it the socket of keep (LISTEN_FDS), it records when keep asks,
to the video socket.

example:
  doorstep see --config /etc/doorstep/doorstep.toml"""),
    "tell": ("the process with the network, as systemd starts it", f"""\
It has no camera. It reads one byte an event from the sockets that systemd hands
it: one from see, and one from keep where there is a record button.

example, without systemd:
  systemd-socket-activate --datagram -l {SOCKET} doorstep tell"""),
    "keep": ("the process with the button, as systemd starts it", f"""\
It has the button, the light and the recordings, and neither network nor
camera. A press starts a clip, encrypted to the owner's recipient; a press or
longest_s ends it; holding the button for 3 s pauses or resumes watching. It is
handed the packet socket for video (LISTEN_FDS).

example, without systemd:
  systemd-socket-activate --seqpacket -l {VIDEO} doorstep keep"""),
    "status": ("how the installed door is, on one screen", """\
Each process, camera, frames a second, broker, the last alert's age (never its
time), storage and version. For a door installed with deploy/install.sh;
doorstep run says what it does itself. Exit status 1 if anything is amiss.

examples:
  doorstep status
  doorstep status --json"""),
    "verify": ("check every promise on this machine, as it runs", """\
Looks at processes, units, modes and clips of the installed door, or else of the
doorstep run here, and tries the broker as a stranger. Changes nothing. Exit
status 1 if a promise is broken or could not be looked at, 2 if nothing runs.

examples:
  sudo doorstep verify          (most of it only root may see)
  doorstep verify --pid 1234    (the doorstep run of that process id)"""),
    "replay": ("what would have been told of a recording", """\
PATH is a video file or a folder of numbered images. The detector sees what it
would see on the device: 160 pixels wide, grey, about 10 frames a second.

examples:
  doorstep replay walk.mp4
  doorstep replay walk.mp4 --explain   (a report that holds no picture)
  doorstep replay frames/ --fps 25 --zone 70,40,50,140 --json"""),
    "walk": ("walk past, see what is seen, mask the street", """\
Shows where change is seen, as 16 x 12 cells; never a picture. Saves to
doorstep.toml when asked. The camera must be free: stop a doorstep that runs.

examples:
  doorstep walk
  doorstep walk --source porch
  doorstep walk visit.mp4"""),
    "demo": ("see it work: porch, broker and phone on this machine", """\
examples:
  doorstep demo
  doorstep demo --source auto   (the camera at hand instead of the porch)"""),
    **usage_owner.COMMANDS,
    "config example": ("print every setting with its default", """\
example:
  doorstep config example > doorstep.toml"""),
    "config check": ("say what is wrong with a doorstep.toml, and the files it names", """\
example:
  doorstep config check doorstep.toml"""),
}


def parser(runs: Mapping[str, Run], word: str = "") -> argparse.ArgumentParser:
    """Return the parser of the command line whose first word is `word`; what is chosen is in `run` of its result."""
    whole = argparse.ArgumentParser("doorstep", description=OVERVIEW, epilog=EXAMPLES,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    whole.add_argument("--version", action="version", version=f"doorstep {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND")
    groups = {"": commands}
    subs: dict[str, argparse.ArgumentParser] = {}
    for name, (words, detail) in COMMANDS.items():
        first, _, last = name.rpartition(" ")
        if first not in groups:
            group = commands.add_parser(first, help=GROUPS[first], description=f"{GROUPS[first].capitalize()}.")
            groups[first] = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
        subs[name] = groups[first].add_parser(last, help=words, description=f"{words[0].upper()}{words[1:]}.",
                                             epilog=detail, formatter_class=argparse.RawDescriptionHelpFormatter)
        subs[name].set_defaults(run=runs[name])
    for name in ("setup", "run", "see", "tell", "keep", "walk"):
        subs[name].add_argument("--config", type=Path, metavar="FILE", help="doorstep.toml (see: doorstep --help)")
    for name, option in (("see", "--tell-fd"), ("tell", "--events-fd")):
        subs[name].add_argument(option, type=int, help=argparse.SUPPRESS)  # an end of a pair, from `doorstep run`
        subs[name].add_argument("--parent", type=int, help=argparse.SUPPRESS)
    for option in ("--tell-fd", "--see-fd", "--video-fd", "--parent"):
        subs["keep"].add_argument(option, type=int, help=argparse.SUPPRESS)
    subs["keep"].add_argument("--tell-socket", default=KEEP_TO_TELL, metavar="PATH",
                              help="socket of tell (default %(default)s)")
    subs["keep"].add_argument("--see-socket", default=KEEP_TO_SEE, metavar="PATH",
                              help="socket of see (default %(default)s)")
    subs["tell"].add_argument("--keep-fd", type=int, help=argparse.SUPPRESS)  # the same, from keep
    subs["see"].add_argument("--keep-fd", type=int, help=argparse.SUPPRESS)
    subs["see"].add_argument("--video-socket", default=VIDEO, metavar="PATH",
                             help="where keep takes video (default %(default)s)")
    subs["see"].add_argument("--socket", default=SOCKET, metavar="PATH", help="socket of tell (default %(default)s)")
    for name in ("status", "verify"):
        subs[name].add_argument("--config", type=Path, metavar="FILE", default=INSTALLED,
                                help="its doorstep.toml (default %(default)s)")
        subs[name].add_argument("--json", action="store_true", help="one JSON document")
    subs["verify"].add_argument("--pid", type=int, metavar="PID", help="the doorstep run to look at, by its process id")
    _add_setup(subs["setup"])
    _add_replay(subs["replay"])
    subs["walk"].add_argument("--source", choices=("porch", "auto", "picamera2", "v4l2", "file"),
                              help="where frames come from (default: as configured)")
    subs["walk"].add_argument("path", type=Path, nargs="?", metavar="PATH", help="a recording, instead of a camera")
    subs["demo"].add_argument("--source", default="porch", choices=("porch", "auto", "picamera2", "v4l2"),
                              help="where frames come from (default porch: no camera is opened unasked)")
    subs["demo"].add_argument("--forever", action="store_true", help="go on until Ctrl-C")
    subs["config check"].add_argument("file", type=Path, metavar="FILE")
    usage_owner.add(subs)
    if word not in {name.split()[0] for name in COMMANDS}:  # no process shall load anything of the broker's
        from broker.usage import add

        add(commands)
    return whole


def _add_setup(setup: argparse.ArgumentParser) -> None:
    setup.add_argument("steps", nargs="*", metavar="STEP", type=_step, help=f"only these: {', '.join(SETUP_STEPS)}")
    setup.add_argument("--answers", type=Path, metavar="FILE", help="take the answers from this file, and ask nobody")
    setup.add_argument("--dry-run", action="store_true", help="with --answers: show what would be done, and do nothing")
    setup.add_argument("--example", action="store_true", help="print a file of answers, each with its default")


def _step(text: str) -> str:
    if text not in SETUP_STEPS:
        raise argparse.ArgumentTypeError(f"{text} is none; they are: {', '.join(SETUP_STEPS)}")
    return text


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("path", type=Path, metavar="PATH")
    replay.add_argument("--fps", type=_fps, metavar="F", help="frames a second, where the recording is wrong about it")
    replay.add_argument("--zone", metavar="X,Y,W,H", help="look only at this rectangle of the stored picture (pixels)")
    replay.add_argument("--sensitivity", type=int, choices=range(1, 6), help="1 to 5 (default 3)")
    replay.add_argument("--explain", action="store_true", help="also say for every second why it was or was not motion")
    replay.add_argument("--config", type=Path, metavar="FILE", help="take mask and sensitivity from this doorstep.toml")
    replay.add_argument("--json", action="store_true", help="one JSON line an event, frame numbers as stored")


def _fps(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1000:
        raise ValueError(text)
    return value
