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
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device import cli_owner
from device.errors import ConfigError, DoorstepError
from device.usage import KEEP_TO_SEE, SOCKET, VIDEO, Run, parser

if TYPE_CHECKING:
    from device.config import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    whole = parser(RUNS, words[0] if words else "")
    options = whole.parse_args(words)
    if not hasattr(options, "run"):
        whole.print_help()
        return 2
    try:
        if getattr(options, "parent", None):
            import signal

            from device.stopping import die_with_parent

            # `tell` has a goodbye to say and `keep` a clip to finish; `see` has a camera that may hang.
            die_with_parent(options.parent, signal.SIGKILL if options.run is _see else signal.SIGTERM)
        if hasattr(options, "parent"):  # a process of the house
            from device.activation import given
            from device.sandbox import close_others

            close_others(given(vars(options), os.environ, os.getpid()))
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

    return config.load(path) if (path := _config_file(options)) else config.Config()


def _config_file(options: argparse.Namespace) -> Path | None:
    if options.config is not None:
        return Path(options.config)
    return next((path for path in (Path("doorstep.toml"), Path("/etc/doorstep/doorstep.toml")) if path.exists()), None)


def _run(options: argparse.Namespace) -> int:
    from device.run import run

    return run(_config(options))


def _see(options: argparse.Namespace) -> int:
    from device.activation import handed
    from device.notify import Manager
    from device.see.start import start

    settings = _config(options)
    keep_fd = options.keep_fd
    if keep_fd is None and os.environ.get("LISTEN_PID") == str(os.getpid()):
        keep_fd = handed(os.environ, os.getpid(), f"in its unit: ListenDatagram={KEEP_TO_SEE}", "keep")["keep"]
    with ExitStack() as stack, Manager(os.environ) as manager:
        to_tell = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, fileno=options.tell_fd))
        from_keep = stack.enter_context(socket.socket(fileno=keep_fd)) if keep_fd is not None else None
        address = options.socket if options.tell_fd is None else None
        return start(settings, to_tell, address, manager, from_keep, options.video_socket)


def _tell(options: argparse.Namespace) -> int:
    from device.activation import handed
    from device.tell.process import run

    settings = _config(options)
    if not settings.broker.host:
        raise ConfigError("no broker to tell", "name it: host under [broker] in doorstep.toml")
    fds = {"see": options.events_fd, "keep": options.keep_fd}
    if options.events_fd is None:
        hint = f"try: systemd-socket-activate --datagram -l {SOCKET} doorstep tell; or: doorstep run"
        fds = handed(os.environ, os.getpid(), hint, "see", "keep")
    with ExitStack() as stack:
        links = {name: stack.enter_context(socket.socket(fileno=fd)) for name, fd in fds.items() if fd is not None}
        return run(settings, links["see"], links.get("keep"))


def _keep(options: argparse.Namespace) -> int:
    from device.activation import handed
    from device.keep.process import Links, run
    from device.messages import Sender

    with ExitStack() as stack:
        def link(fd: int | None, address: str) -> Sender[Any]:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, fileno=fd))
            return Sender(sock, address if fd is None else None)

        video_fd = options.video_fd
        if video_fd is None:
            hint = f"try: systemd-socket-activate --seqpacket -l {VIDEO} doorstep keep; or: doorstep run"
            video_fd = handed(os.environ, os.getpid(), hint, "video")["video"]
        video = stack.enter_context(socket.socket(fileno=video_fd))
        return run(_config(options), Links(link(options.tell_fd, options.tell_socket),
                                           link(options.see_fd, options.see_socket), video))


def _setup(options: argparse.Namespace) -> int:
    from device import setup, setup_answers

    if options.example:
        print(setup_answers.example(), end="")
        return 0
    path = _config_file(options) or setup.default_path()
    return setup.setup(path, options.answers, options.steps, write=not options.dry_run)


def _status(options: argparse.Namespace) -> int:
    from device.status import status

    return status(options.config, options.json)


def _verify(options: argparse.Namespace) -> int:
    from device.verify import verify

    return verify(options.config, options.pid, options.json)


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
    from device.config import Alerts, Camera, Config
    from device.demo import demo

    # A porch is busier than a door: two visitors in half a minute shall both be told.
    settings = Config(camera=Camera(source=options.source), alerts=Alerts(cooldown_s=5.0))
    return demo(settings, forever=options.forever)


def _config_example(_options: argparse.Namespace) -> int:
    from device.config import example

    print(example(), end="")
    return 0


def _config_check(options: argparse.Namespace) -> int:
    from device import config
    from device.keep.vault import read_recipients
    from device.tell import credentials
    from device.tell.languages import words_of
    from device.tell.words import Alert

    settings = config.load(options.file)
    read_recipients(settings.recording.recipients)
    credentials.load(settings.broker)
    broker = settings.broker.host or "a broker of our own"
    print(f'{options.file}: all right: "{words_of(settings).phrase(Alert.MOTION)}" via {broker}')
    return 0


RUNS: dict[str, Run] = {
    "setup": _setup,
    "run": _run,
    "see": _see,
    "tell": _tell,
    "keep": _keep,
    "status": _status,
    "verify": _verify,
    "replay": _replay,
    "walk": _walk,
    "demo": _demo,
    **cli_owner.RUNS,
    "config example": _config_example,
    "config check": _config_check,
}
