"""One subcommand for each thing an owner does.

Rule 1: nothing is imported until its subcommand runs, so no process drags in another's libraries.
Rule 2: this is the only place that prints an error and sets an exit status.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device import __version__
from device.errors import ConfigError, DoorstepError

if TYPE_CHECKING:
    from device.config import Config

SOCKET = "/run/doorstep/tell.sock"
_LISTEN_FDS_START = 3  # sd_listen_fds(3)

OVERVIEW = """\
A door camera that tells and never shows. It watches the door by frame differencing and sends the words
"motion at front door" over MQTT. No picture is stored or sent."""

EXAMPLES = """\
examples:
  doorstep demo                             see it work, on this machine, in half a minute
  doorstep config example > doorstep.toml   every setting with its default
  doorstep config check doorstep.toml       say what is wrong with it, if anything
  doorstep run --config doorstep.toml       watch and tell, until Ctrl-C
  doorstep walk                             walk past, see what is seen, mask the street
  doorstep replay walk.mp4                  what would have been told of a recording

exit status:
  0  done    1  failed while running    2  wrong usage, configuration, file or camera; the line says which

files:
  doorstep.toml  is looked for in this folder, then in /etc/doorstep, unless --config names one"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    try:
        if getattr(options, "parent", None):
            import signal

            from device.stopping import die_with_parent

            # `tell` has a goodbye to say; `see` has none, and a hung camera would keep it from ending otherwise.
            die_with_parent(options.parent, signal.SIGTERM if options.run is _tell else signal.SIGKILL)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except DoorstepError as error:
        return _refuse(error.message, error.hint, error.exit_status)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the one place: a bug, or a machine in a state nobody thought of
        if os.environ.get("DOORSTEP_TRACEBACK"):
            raise
        return _refuse(f"unexpected {type(error).__name__}: {error}",
                       "please report it with the output of DOORSTEP_TRACEBACK=1 and the same command", 1)


def _refuse(message: str, hint: str, status: int) -> int:
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    red, dim, plain = ("\033[31m", "\033[2m", "\033[0m") if colour else ("", "", "")
    print(f"{red}doorstep: error:{plain} {message}\n{dim}doorstep: hint:{plain} {hint}", file=sys.stderr)
    return status


def _config(options: argparse.Namespace) -> Config:
    from device import config

    path = _config_file(options)
    return config.Config() if path is None else config.load(path)


def _config_file(options: argparse.Namespace) -> Path | None:
    if options.config is not None:
        return Path(options.config)
    return next((path for path in (Path("doorstep.toml"), Path("/etc/doorstep/doorstep.toml")) if path.exists()), None)


def _run(options: argparse.Namespace) -> int:
    from device.run import run

    return run(_config(options))


def _see(options: argparse.Namespace) -> int:
    from device.see.process import run

    if options.tell_fd is not None:
        with socket.socket(fileno=options.tell_fd) as sock:
            return run(_config(options), sock)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        return run(_config(options), sock, options.socket)


def _tell(options: argparse.Namespace) -> int:
    from device.tell.process import run

    settings = _config(options)
    if not settings.broker.host:
        raise ConfigError("no broker to tell", "name it: host under [broker] in doorstep.toml")
    if options.events_fd is not None:
        with socket.socket(fileno=options.events_fd) as sock:
            return run(settings, sock)
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise ConfigError("no socket to hear `see` on",
                          f"try: systemd-socket-activate --datagram -l {SOCKET} doorstep tell; or: doorstep run")
    with socket.socket(fileno=_LISTEN_FDS_START) as sock:
        return run(settings, sock)


def _replay(options: argparse.Namespace) -> int:
    from device.config import Config, load
    from device.replay import How, Zone, replay

    # Only a configuration that is named: a replay shall not depend on the folder it is started in.
    settings = load(options.config) if options.config else Config()
    zone = Zone.parse(options.zone) if options.zone else None
    return replay(options.path, How(options.fps, zone, options.sensitivity or settings.detector.sensitivity,
                                    settings.camera.mask, options.json, options.explain))


def _walk(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from device.walk import walk

    settings, path, source = _config(options), _config_file(options) or Path("doorstep.toml"), options.source
    if options.path and source not in (None, "file"):
        raise ConfigError(f"a recording and --source {source} at once", "leave out one of them")
    if source == "file" and not (options.path or settings.camera.path):
        raise ConfigError("--source file names no recording", "try: doorstep walk RECORDING")
    if options.path:
        settings = replace(settings, camera=replace(settings.camera, source="file", path=str(options.path)))
    elif source:
        settings = replace(settings, camera=replace(settings.camera, source=source))
    return walk(settings, path)


def _demo(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from device.config import Alerts, Camera, Config
    from device.demo import demo

    # A porch is busier than a door: two visitors in half a minute shall both be told.
    settings = replace(Config(), camera=Camera(source=options.source), alerts=Alerts(cooldown_s=5.0))
    return demo(settings, forever=options.forever)


def _config_example(_options: argparse.Namespace) -> int:
    from device.config import example

    print(example(), end="")
    return 0


def _config_check(options: argparse.Namespace) -> int:
    from device import config
    from device.tell import credentials

    settings = config.load(options.file)
    if settings.broker.host:
        credentials.load(settings.broker)
    print(f'{options.file}: all right: "motion at {settings.place}" by way of '
          f"{settings.broker.host or 'a broker of our own'}")
    return 0


def _fps(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1000:
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("doorstep", description=OVERVIEW, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"doorstep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, words: str, run: object, detail: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.", epilog=detail,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.set_defaults(run=run)
        return sub

    def configured(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument("--config", type=Path, metavar="FILE", help="doorstep.toml (see: doorstep --help)")
        return sub

    configured(command("run", "watch and tell on this machine, until Ctrl-C", _run,
        "Starts see and tell as children and restarts the one that dies. With no broker configured it starts one\n"
        "for this machine only.\n\nexample:\n  doorstep run --config doorstep.toml"))
    see = configured(command("see", "the process with the camera, as systemd starts it", _see,
        "It has no network. It writes one byte an event to the socket of tell.\n\nexample:\n"
        "  doorstep see --config /etc/doorstep/doorstep.toml"))
    see.add_argument("--socket", default=SOCKET, metavar="PATH", help=f"the socket of tell (default {SOCKET})")
    tell = configured(command("tell", "the process with the network, as systemd starts it", _tell,
        "It has no camera. It reads one byte an event from the socket that systemd hands it (LISTEN_FDS).\n\n"
        f"example, without systemd:\n  systemd-socket-activate --datagram -l {SOCKET} doorstep tell"))
    for sub, option in ((see, "--tell-fd"), (tell, "--events-fd")):
        sub.add_argument(option, type=int, help=argparse.SUPPRESS)  # an end of a pair, from `doorstep run`
        sub.add_argument("--parent", type=int, help=argparse.SUPPRESS)

    replay = command("replay", "what would have been told of a recording", _replay,
        "PATH is a video file or a folder of numbered images. The detector sees what it would see on the device:\n"
        "160 pixels wide, grey, about 10 frames a second.\n\nexamples:\n  doorstep replay walk.mp4\n"
        "  doorstep replay walk.mp4 --explain   (a report that holds no picture)\n"
        "  doorstep replay frames/ --fps 25 --zone 70,40,50,140 --json")
    replay.add_argument("path", type=Path, metavar="PATH")
    replay.add_argument("--fps", type=_fps, metavar="F", help="frames a second, where the recording is wrong about it")
    replay.add_argument("--zone", metavar="X,Y,W,H", help="look only at this rectangle of the stored picture (pixels)")
    replay.add_argument("--sensitivity", type=int, choices=range(1, 6), help="1 to 5 (default 3)")
    replay.add_argument("--explain", action="store_true", help="also say for every second why it was or was not motion")
    replay.add_argument("--config", type=Path, metavar="FILE", help="take mask and sensitivity from this doorstep.toml")
    replay.add_argument("--json", action="store_true", help="one JSON line an event, frame numbers as stored")

    walk = configured(command("walk", "walk past and see what is seen; mask the street; set the sensitivity", _walk,
        "Shows where change is seen, as 16 x 12 cells; never a picture. Saves to doorstep.toml when asked. The camera\n"
        "must be free: stop a doorstep that runs.\n\nexamples:\n  doorstep walk\n  doorstep walk --source porch\n"
        "  doorstep walk visit.mp4"))
    walk.add_argument("--source", choices=("porch", "auto", "picamera2", "v4l2", "file"),
                      help="where frames come from (default: as configured)")
    walk.add_argument("path", type=Path, nargs="?", metavar="PATH", help="a recording, in the place of a camera")

    demo = command("demo", "see it work: porch, broker and phone on this machine", _demo,
        "examples:\n  doorstep demo\n  doorstep demo --source auto   (the camera at hand instead of the porch)")
    demo.add_argument("--source", default="porch", choices=("porch", "auto", "picamera2", "v4l2"),
                      help="where frames come from (default porch, a drawn one: no camera is opened unasked)")
    demo.add_argument("--forever", action="store_true", help="go on until Ctrl-C")

    words = "write or check doorstep.toml"
    config = commands.add_parser("config", help=words, description=f"{words.capitalize()}.")
    about = config.add_subparsers(title="commands", metavar="COMMAND", required=True)
    about.add_parser("example", help="print every setting with its default").set_defaults(run=_config_example)
    check = about.add_parser("check", help="say what is wrong with a doorstep.toml, and the files it names")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_config_check)
    return parser
