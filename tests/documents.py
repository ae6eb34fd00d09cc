"""What the documents and --help give their readers to type: every command line, and the commands each is made of.

Rule 1: what stands in a block of its own, or as an example of --help, is a line to be copied; in a sentence it may be a mere name.
Rule 2: nothing is left out in silence: what is no command is named in a table.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

from broker import usage as broker_usage
from device.usage import COMMANDS, EXAMPLES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
# What stands in an indented block and is no command; the last is run line by line in tests/test_clips_document.py.
OUTPUT = {("README.md", "Doorstep demo. A drawn porch"), ("CLIPS.md", "doorstep clip statement v1")}
TESTED_ELSEWHERE = {"CLIPS.md": "## Check it without Doorstep"}
# With what a command begins that stands in a sentence, and with what every other one does.
WORDS = (".", ".venv/bin/doorstep", ".venv/bin/python", "age", "apt", "chmod", "cp", "deploy/install.sh", "do", "done", "doorstep",
         "doorstep-configure", "for", "install", "journalctl", "make", "man", "mkdir", "mosquitto", "mpv", "pip", "python", "sudo", "sudoedit",
         "systemctl", "systemd-socket-activate")


def blocks(text: str) -> Iterator[list[str]]:
    """What is indented below a blank line; in a list it would be a sentence that goes on, between fences a drawing."""
    for found in re.findall(r"\n\n((?:    .*\n)+)", text):
        yield [line[4:].rstrip() for line in found.splitlines()]


def is_toml(block: list[str]) -> bool:
    try:
        return bool(tomllib.loads("\n".join(block)))
    except tomllib.TOMLDecodeError:
        return False


def text_of(document: Path) -> str:
    """Without drawings, and without what is run elsewhere."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL) + "\n"
    return text.split(TESTED_ELSEWHERE.get(str(document.relative_to(ROOT)), "\0"))[0]


def to_copy(document: Path) -> Iterator[str]:
    """Every line of a document's blocks that is a command."""
    name = str(document.relative_to(ROOT))
    for block in blocks(text_of(document)):
        if not is_toml(block) and not any(name == where and block[0].startswith(words) for where, words in OUTPUT):
            yield from block


def in_sentences(document: Path) -> Iterator[str]:
    """Every command that stands in a sentence."""
    for words in re.findall(r"`([^`\n]+)`", re.sub(r"\n", " ", text_of(document))):
        if words.split()[0] in WORDS and not words.endswith("/"):
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


def plain(line: str) -> str:
    """A line without sudo and comment: the same command, whoever types it."""
    return re.sub(r"\bsudo (-u \w+ )?|\.venv/bin/(?=doorstep)", "", line).partition("  #")[0].strip()


def examples() -> dict[str, list[str]]:
    """The examples of --help, without what is said beside them."""
    found = {"help": [re.sub(r"\s{2,}.*", "", line) for line in re.findall(r"^  (doorstep .*)", EXAMPLES, re.MULTILINE)]}
    for name, (_, detail) in (COMMANDS | broker_usage.COMMANDS).items():
        below = re.split(r"^examples?\b.*:$", detail, flags=re.MULTILINE)[-1]
        found[f"help of {name}"] = [re.sub(r"\s+\(.*", "", line.strip()) for line in re.findall(r"^  .*", below, re.MULTILINE)]
    assert all(found.values()), found
    return found


COPIED = {str(path.relative_to(ROOT)): list(to_copy(path)) for path in DOCUMENTS} | examples()
NAMED = {str(path.relative_to(ROOT)): list(in_sentences(path)) for path in DOCUMENTS}


def names_only(words: str) -> bool:
    """Whether words of a sentence name a command that stands in full as a line to copy."""
    named = words.rstrip(". ")
    return any(f" {named} " in f" {plain(line)} " for lines in COPIED.values() for line in lines)
