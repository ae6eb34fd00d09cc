"""`doorstep verify`: every promise, checked on the door that runs here, as a table.

Rule 1: it looks and tries, and changes nothing.
Rule 2: 0 is for a door of which every promise was seen to hold; what was not seen is not that.
Rule 3: what a process has named is shown without what a terminal would obey.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from device import __version__, verify_broker, verify_files, verify_proc
from device.config import Config, load, parse
from device.errors import DoorstepError
from device.keep.vault import state_folder
from device.status import shown
from device.verify_checks import ELSEWHERE, Row, Verdict, judge
from device.verify_facts import Facts
from device.verify_units import SETTINGS

STATE = "/var/lib/doorstep"  # StateDirectory= of doorstep-keep
_COLOURS = {Verdict.HOLDS: "\033[32m", Verdict.BROKEN: "\033[1;31m", Verdict.NOT_SEEN: "\033[33m"}
_HINT = "start it (doorstep run, or: sudo systemctl start doorstep.target), and try again"

_T = TypeVar("_T")


def verify(path: Path, pid: int | None, as_json: bool) -> int:
    """Print the table of the door that runs; return 0 where every promise holds, else 1."""
    facts = _run(pid) if pid is not None else _installed(path) or _run(None)
    rows = judge(facts)
    holds = all(row.verdict is Verdict.HOLDS for row in rows)
    if as_json:
        print(json.dumps({"version": __version__, "installed": facts.installed, "holds": holds, "rows": [
            {"promise": row.promise, "what": row.what, "how": row.how, "verdict": row.verdict.value.lower(),
             "found": row.found} for row in rows], "elsewhere": ELSEWHERE}))
    else:
        print("\n".join(screen(rows, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)))
    return 0 if holds else 1


def screen(rows: list[Row], *, colour: bool) -> Iterator[str]:
    """Make the lines of the table."""
    for promise in dict.fromkeys(row.promise for row in rows):
        yield promise
        for row in (row for row in rows if row.promise == promise):
            on, off = (_COLOURS[row.verdict], "\033[0m") if colour else ("", "")
            yield f"  {on}{row.verdict.value:8}{off}  {row.what}  ({row.how})"
            if row.found:
                yield f"            {on}{_plain(row.found)}{off}"
    yield ""
    yield "A door that runs cannot show:"
    yield from (f"  {promise}: {why}" for promise, why in ELSEWHERE.items())
    count = Counter(row.verdict for row in rows)
    yield ""
    yield f"{count[Verdict.HOLDS]} hold, {count[Verdict.BROKEN]} broken, {count[Verdict.NOT_SEEN]} not seen" + (
        "; root sees more: sudo doorstep verify" if count[Verdict.NOT_SEEN] and os.geteuid() else "")


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _installed(path: Path) -> Facts | None:
    """Look at the services of systemd; None where none of them runs."""
    asked = {name: shown(name, ("MainPID", "IPAddressAllow", *settings)) for name, settings in SETTINGS.items()}
    pids = {name: int(each.get("MainPID") or 0) for name, each in asked.items()}
    if not any(pids.values()):
        return None
    config = load(path)
    text = path.read_text(encoding="utf-8")
    facts = _facts(config, text, {name: pid for name, pid in pids.items() if pid}, {"STATE_DIRECTORY": STATE},
                   installed=True)
    return replace(facts, links=verify_files.links(), journals=verify_files.journals(), units=asked,
                   settings=verify_files.owned(path))


def _run(pid: int | None) -> Facts:
    """Look at the children of a `doorstep run`. Raise DoorstepError where there is none, or more than one."""
    arguments = verify_proc.all_arguments()
    houses = verify_proc.houses(arguments)
    found = {pid: houses[pid]} if pid in houses else houses if pid is None else {}
    if not found:
        raise DoorstepError(f"process {pid} is no doorstep run" if pid else "nothing of Doorstep runs on this machine",
                            _HINT)
    if len(found) > 1:
        raise DoorstepError(f"{len(found)} of doorstep run are on this machine",
                            f"name one: doorstep verify --pid {', or '.join(map(str, sorted(found)))}")
    (house, pids), = found.items()
    try:
        texts = {name: _settings(house, arguments[child]) for name, child in pids.items()}
        raw = Path(f"/proc/{house}/environ").read_bytes().decode(errors="replace").split("\0")
    except PermissionError:
        raise DoorstepError(f"process {house} is somebody else's", "try: sudo doorstep verify") from None
    parts = {name: parse(text) for name, text in texts.items()}
    config = parts.get("tell") or next(iter(parts.values()))
    config = replace(config, camera=parts.get("see", config).camera, recording=parts.get("keep", config).recording)
    environment = dict(word.split("=", 1) for word in raw if "=" in word)
    return _facts(config, "\n".join(texts.values()), pids, environment, installed=False)


def _settings(house: int, arguments: list[str]) -> str:
    """Read what a child was given to read: a file in memory, that the house holds under the same number."""
    path = next((value for word, value in pairwise(arguments) if word == "--config"), "/dev/null")
    return Path(path.replace("/proc/self/", f"/proc/{house}/")).read_text(encoding="utf-8")


def _facts(config: Config, text: str, pids: Mapping[str, int], environment: Mapping[str, str], *,
           installed: bool) -> Facts:
    seen = {name: verify_proc.read(pid) for name, pid in pids.items()}
    folder = state_folder(config.recording, config.id, environment)
    return Facts(
        installed=installed,
        config=config,
        processes={name: process for name, process in seen.items() if process is not None},
        recordings=str(folder),
        broker_addresses=verify_broker.addresses(config.broker.host),
        settings=(),
        secrets=_allowed(lambda: verify_files.secrets(config)),
        secrets_in_settings=verify_files.secrets_in(text, config),
        vault=_allowed(lambda: verify_files.vault(folder)),
        clips=_allowed(lambda: verify_files.clips(folder)),
        trials=verify_broker.trials(config.broker, installed=installed),
    )


def _allowed(look: Callable[[], _T]) -> _T | None:
    try:
        return look()
    except PermissionError:
        return None
