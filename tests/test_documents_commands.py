"""Every command in every document, and in --help, is run by a test, and is first of all one: the command line takes it.

Rule 1: a line that is written to be copied is run, as it stands, or another test that runs it is named; nothing else passes.
Rule 2: where another test is named, the words by which it runs the command stand in it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Callable

import pytest

from broker import usage as broker_usage
from device.cli import RUNS
from device.usage import COMMANDS, GROUPS, parser
from tests import test_documents_machine, test_documents_run
from tests.documents import COPIED, NAMED, ROOT, TESTED_ELSEWHERE, names_only, plain, simple

UNITS = {path.name for path in [*ROOT.glob("deploy/systemd/*"), *ROOT.glob("deploy/*.*")]}
KNOWN = {*COMMANDS, *GROUPS, *broker_usage.COMMANDS, "broker", "broker device", "broker phone"}
LINES = {where: [*COPIED.get(where, []), *NAMED.get(where, [])] for where in COPIED | NAMED}

RUN = test_documents_machine.RUN | test_documents_run.RUN | set(test_documents_run.TERMINAL)
INSTALL, SETUP, PACKAGE = ("tests/install/test_install.py", "tests/install/test_setup_installed.py", "tests/install/test_package.py")
# What is run by another test, and the words there that do it; what they start in their turn stands beside them.
TESTED_BY: dict[str, dict[str, str]] = {
    "apt install ./doorstep_0.1.0_arm64.deb": {PACKAGE: '*APT, "install", LATER'},
    "apt install mosquitto": {"tests/need-mosquitto.sh": "mosquitto:mosquitto"},
    "apt purge doorstep": {PACKAGE: '*APT, "purge", "doorstep"'},
    "apt remove doorstep": {PACKAGE: '*APT, "remove", "doorstep"'},
    "deploy/install.sh": {INSTALL: 'machine.run("deploy/install.sh")'},
    "deploy/install.sh --uninstall": {INSTALL: '"deploy/install.sh", "--uninstall"'},
    "doorstep demo": {"tests/test_run.py": 'doorstep("demo"'},
    "doorstep status": {INSTALL: 'machine.run("doorstep", "status")'},
    "doorstep status --json": {INSTALL: '"doorstep", "status", "--json"'},
    "doorstep-configure": {PACKAGE: 'machine.run("doorstep-configure"'},
    "journalctl --namespace=doorstep": {INSTALL: '"journalctl", "--namespace=doorstep"'},
    "make bench-broker": {"tests/test_bench_broker.py": "broker.main(", "Makefile": "-m tests.bench.broker"},
    "make deb": {PACKAGE: "deploy/deb/build.sh", "Makefile": "deploy/deb/build.sh"},
    "make demo": {"tests/test_run.py": 'doorstep("demo"', "Makefile": "$(BIN)/doorstep demo"},
    "make soak": {"tests/test_soak.py": "soak._door()", "Makefile": "-m tests.soak.soak"},
    "pip install .": {INSTALL: "PIP_NO_BUILD_ISOLATION", "deploy/install.sh": '"$venv/bin/pip" install'},
    "python -m tests.bench.distances": {"tests/test_bench_detector.py": "distances.main("},
    "systemctl edit doorstep-keep": {"tests/board/test_units.py": 'edited(door, "doorstep-keep"'},
    "systemctl edit mosquitto": {"tests/board/test_units.py": 'edited(door, "mosquitto"'},
    "systemctl restart doorstep.target": {"tests/board/installed.py": "systemctl restart doorstep.target"},
    "systemctl stop doorstep-see.socket": {SETUP: "Stop the services", "device/setup.py": '_systemctl("stop", *_UNITS)'},
}
# What is a test or a measurement itself, and what `make` would run for it.
ITSELF = {
    "make bench": "-m tests.bench.bench", "make bench-detector": "-m tests.bench.detector", "make check": "tests/units.sh",
    "make test": "-m pytest", "make test-arm": "-m pytest tests/install/test_package_arm.py", "make test-board": "-m pytest tests/board",
    "make test-camera": "-m pytest tests/camera", "make test-deb": "-m pytest tests/install/test_package.py", "make test-ha": "-m pytest tests/homeassistant",
    "make test-install": "-m pytest tests/install/test_install.py", "make test-oldest": "-m pytest", "make test-power": "-m pytest tests/power",
    "make test-privacy": "-m pytest tests/test_noninterference.py", "make test-rabbit": "-m pytest -k", "make test-wheels": "tests/wheels.sh",
}
COVERED = RUN | set(TESTED_BY) | set(ITSELF)


def doorstep(words: list[str]) -> None:
    """The command line takes it; or it only names a command."""
    if " ".join(words[1:]) not in KNOWN:
        parser(RUNS).parse_args(words[1:])


def make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(words[1:]) <= targets, words


def python(words: list[str]) -> None:
    assert importlib.util.find_spec(words[2]) if words[1] == "-m" else (ROOT / words[1]).exists(), words


def ours(words: list[str]) -> None:
    """A script of ours is there and can be started, and every option that is named stands in it."""
    script = ROOT / words[0]
    assert os.access(script, os.X_OK), script
    for option in words[1:]:
        assert not option.startswith("-") or option in script.read_text(), (script, option)


def foreign(words: list[str]) -> None:
    """Somebody else's command: every file and unit of ours that it names is there."""
    for word in words[1:]:
        assert not word.startswith(("deploy/", "tests/")) or (ROOT / word).exists(), word
        if re.match(r"doorstep[\w-]*(\.\w+)?$", word) and words[0] == "systemctl":
            assert {word, f"{word}.service"} & UNITS, word


def shell(words: list[str]) -> None:
    """A word of the shell's own: what it repeats is looked at line by line."""
    assert words[0] != "for" or words[2] == "in", words


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "doorstep": doorstep, ".venv/bin/doorstep": doorstep, "make": make, ".venv/bin/python": python,
    "python": python, "deploy/install.sh": ours, "doorstep-configure": lambda words: ours(["deploy/install.sh", *words[1:]]),
    **dict.fromkeys(("for", "do", "done"), shell),
    **dict.fromkeys((".", "age", "apt", "chmod", "cp", "install", "journalctl", "man", "mkdir", "mosquitto", "mpv", "pip", "sudo",
                     "sudoedit", "systemctl", "systemd-socket-activate"), foreign),
}


@pytest.mark.parametrize("where", LINES)
def test_every_command_that_is_written_down_is_one(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever copies a line must not be the first to try it."""
    for line in LINES[where]:
        for words in simple(line):
            assert words[0] in CHECKS, f"{where}: a command that nothing here knows: {line}"
            try:
                CHECKS[words[0]](words)
            except SystemExit:
                pytest.fail(f"{where}: {line}: {capsys.readouterr().err}")


@pytest.mark.parametrize("line", ["doorstep wlak", "make nothing", "deploy/install.sh --nothing", "sudo cp deploy/none /etc", "dance",
                                  "doorstep walk && doorstep broker setup --hots x", "sudo systemctl stop doorstep-eye.socket"])
def test_a_command_that_is_none_is_found(line: str) -> None:
    """A check that cannot fail is none."""
    with pytest.raises((SystemExit, AssertionError, KeyError)):
        for words in simple(line):
            CHECKS[words[0]](words)


def test_the_readmes_are_full_of_commands() -> None:
    """Nothing found would pass, too."""
    assert len(LINES["README.md"]) > 30
    for folder in ("broker", "deploy", "device"):
        assert len(LINES[f"{folder}/README.md"]) > 6


def missing(where: str) -> list[str]:
    """What of a document is run by no test. A sentence may name a command of which a line to copy is run."""
    return [line for line in COPIED.get(where, []) if plain(line) not in COVERED] + \
        [words for words in NAMED.get(where, []) if plain(words) not in COVERED and not names_only(plain(words))]


@pytest.mark.parametrize("where", LINES)
def test_every_command_is_run_by_a_test(where: str) -> None:
    """What is not tried outlives the program."""
    assert missing(where) == []


def test_a_command_that_nothing_runs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be copied or in a sentence."""
    monkeypatch.setitem(COPIED, "new.md", ["sudo doorstep verify", "sudo doorstep verify --json"])
    monkeypatch.setitem(NAMED, "new.md", ["doorstep verify", "make clean"])
    assert missing("new.md") == ["sudo doorstep verify --json", "make clean"]


@pytest.mark.parametrize("command", TESTED_BY)
def test_the_test_that_is_named_runs_it(command: str) -> None:
    """A table that is only believed is none."""
    assert next(iter(TESTED_BY[command])).startswith("tests/")
    for name, words in TESTED_BY[command].items():
        assert words in (ROOT / name).read_text(), (name, words)


@pytest.mark.parametrize("command", ITSELF)
def test_make_would_run_it(command: str) -> None:
    """With -n it says what it would do, and does nothing."""
    done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ITSELF[command] in done.stdout


def test_no_table_holds_what_no_document_has() -> None:
    """And nothing stands in two of them; what a whole section of a document is run by, has its heading."""
    written = {plain(line) for lines in LINES.values() for line in lines}
    tables = (RUN, TESTED_BY, ITSELF)
    assert set().union(*tables) <= written
    assert sum(map(len, tables)) == len(COVERED)
    for heading in TESTED_ELSEWHERE.values():
        assert heading in (ROOT / "tests" / "test_clips_document.py").read_text()
