"""Every command in every document, and in --help: the command line takes it, what it names exists, and what can run here runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import usage as broker_usage
from device.cli import RUNS
from device.usage import COMMANDS, GROUPS, parser
from tests.clips import Clips, video
from tests.rig import environment

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
# What stands in an indented block and is no command; the last is run line by line in tests/test_clips_document.py.
OUTPUT = {("README.md", "Doorstep demo. A drawn porch"), ("CLIPS.md", "doorstep clip statement v1")}
TESTED_ELSEWHERE = {"CLIPS.md": "## Check it without Doorstep"}
UNITS = {path.name for path in [*ROOT.glob("deploy/systemd/*"), *ROOT.glob("deploy/*.*")]}
KNOWN = {*COMMANDS, *GROUPS, *broker_usage.COMMANDS, "broker", "broker device", "broker phone"}


def blocks(text: str) -> Iterator[list[str]]:
    """What is indented below a blank line; in a list it would be a sentence that goes on, between fences a drawing."""
    for found in re.findall(r"\n\n((?:    .*\n)+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield [line[4:].rstrip() for line in found.splitlines()]


def is_toml(block: list[str]) -> bool:
    try:
        return bool(tomllib.loads("\n".join(block)))
    except tomllib.TOMLDecodeError:
        return False


def commands(document: Path) -> Iterator[str]:
    """Every command line of a document: of its blocks, and those that stand in its sentences."""
    name = str(document.relative_to(ROOT))
    text = document.read_text()
    if name in TESTED_ELSEWHERE:
        text = text.split(TESTED_ELSEWHERE[name])[0]
    for block in blocks(text + "\n"):
        if not is_toml(block) and not any(name == where and block[0].startswith(words) for where, words in OUTPUT):
            yield from block
    for words in re.findall(r"`([^`\n]+)`", re.sub(r"\n", " ", text)):
        if words.split()[0] in CHECKS and not words.endswith("/"):
            yield words


def simple(line: str) -> Iterator[list[str]]:
    """The commands that a line is made of, each as words; without sudo, comments, and where its output goes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in ("|", "&&", ";"):
            words = words[3 if words[:2] == ["sudo", "-u"] else 1 if words[:1] == ["sudo"] else 0:]
            yield words[: next((place for place, each in enumerate(words) if each in (">", ">>", "<")), len(words))]
            words = []
        else:
            words.append(word)


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
    "deploy/install.sh": ours, "doorstep-configure": lambda words: ours(["deploy/install.sh", *words[1:]]),
    **dict.fromkeys(("for", "do", "done"), shell),
    **dict.fromkeys((".", "age", "apt", "chmod", "cp", "install", "journalctl", "man", "mkdir", "mosquitto", "mpv", "pip", "sudo",
                     "sudoedit", "systemctl", "systemd-socket-activate"), foreign),
}


def examples() -> dict[str, list[str]]:
    """The examples of --help, without what is said beside them."""
    found = {}
    for name, (_, detail) in (COMMANDS | broker_usage.COMMANDS).items():
        below = re.split(r"^examples?\b.*:$", detail, flags=re.MULTILINE)[-1]
        found[f"help of {name}"] = [re.sub(r"\s+\(.*", "", line.strip()) for line in re.findall(r"^  .*", below, re.MULTILINE)]
        assert found[f"help of {name}"], name
    return found


LINES = {str(path.relative_to(ROOT)): list(commands(path)) for path in DOCUMENTS} | examples()


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


# What needs no root, no camera, no broker of the house and no minute of anybody's time.
HARMLESS = r"doorstep (config|key|clips|setup --)|\.venv/bin/python deploy"
RUN = sorted({line for lines in LINES.values() for line in lines if re.match(HARMLESS, line) and line.split("doorstep ")[-1] not in KNOWN
              and not re.search(r"CLIP|key\.age|SHA256|key\.txt|mpv", line)})


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the documents assume to be there by then."""
    folder = tmp_path_factory.mktemp("owner")
    clips = Clips(folder / "clips")
    clips.record(6)
    clips.record(7, video())
    (folder / "config" / "doorstep").mkdir(parents=True)
    clips.identity().rename(folder / "config" / "doorstep" / "identity.txt")
    (folder / "bin").mkdir()
    (folder / "bin" / "doorstep").write_text(f'#!/bin/sh\nexec {sys.executable} -m device "$@"\n')
    (folder / "bin" / "doorstep").chmod(0o755)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    return folder


@pytest.mark.parametrize("line", RUN)
def test_every_command_that_can_run_here_runs(line: str, owners: Path, tmp_path: Path) -> None:
    """As it stands there, in the shell of somebody who copies it."""
    for name in ("clips", "bin", "deploy", ".venv"):
        (tmp_path / name).symlink_to(owners / name)
    (tmp_path / "answers.toml").write_text("camera = false\nbroker = 'none'\n")
    (tmp_path / "doorstep.toml").write_text("# example\n")
    home = tmp_path / "new" if line.startswith("doorstep key") else owners / "config"
    done = subprocess.run(["sh", "-euc", line], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
                          env=environment(PATH=f"{owners}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
                                          PYTHONPATH=str(ROOT), XDG_CONFIG_HOME=str(home), PYTHONWARNINGS="default"))
    assert done.returncode == 0, (line, done.stderr)
