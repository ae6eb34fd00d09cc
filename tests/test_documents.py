"""Documents are held against the code: what they name exists, what they claim has a test of that name."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import pytest

import broker.usage
from device import config, messages
from device.messages import SeeToTell
from device.tell import desk
from device.tell.words import Status
from device.usage import COMMANDS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_a_document_names_exists(document: Path) -> None:
    """Documents that outlive the code mislead whoever trusts them."""
    named = re.findall(r"`((?:device|broker|tests|deploy)/[\w./-]*)`|\]\(([\w./-]+)\)", document.read_text())
    for path in {one or other for one, other in named}:
        assert (ROOT / path).exists() or (document.parent / path).exists(), path


def test_the_architecture_has_a_line_for_every_file() -> None:
    """The way in must lead everywhere, and to nothing that is gone."""
    rows = set(re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    files = {str(path.relative_to(ROOT)) for folder in ("device", "broker") for path in (ROOT / folder).rglob("*.py")}
    assert rows == {path for path in files if not path.endswith(("__init__.py", "__main__.py"))}
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) < 200


def test_invariants_and_tests_carry_the_same_names() -> None:
    """A promise without a test is none, and a test without a promise is a secret."""
    promised = set(re.findall(r"^\| ([A-Z][A-Z-]+) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    slugs = {name.lower().replace("-", "_") for name in promised}
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    tests = set(re.findall(r"def test_inv_(\w+)|\"inv_(\w+)\"", sources))
    names = {one or other for one, other in tests}
    for slug in slugs:
        assert any(name.startswith(slug) for name in names), (slug, names)
    for name in names:
        assert any(name.startswith(slug) for slug in slugs), name


def test_privacy_promises_the_invariants_and_no_others() -> None:
    """What a person reads there is what tests show."""
    row = re.compile(r"^\| ([A-Z][A-Z-]+) \|", re.MULTILINE)
    promised = row.findall((ROOT / "PRIVACY.md").read_text())
    assert sorted(promised) == sorted(set(row.findall((ROOT / "ARCHITECTURE.md").read_text())))


def test_the_bound_on_a_leak_is_the_codes() -> None:
    """Numbers of a promise that outlive the code would be a lie."""
    text = " ".join((ROOT / "PRIVACY.md").read_text().split())
    bits = math.log2(len(SeeToTell))
    assert f"{messages.RATE_PER_S:.0f} messages a second of {bits:.1f} bits ({len(SeeToTell)} letters)" in text
    assert f"{messages.RATE_PER_S * bits:.1f} bits a second, and {messages.BURST:.0f} messages at once" in text
    assert set(desk.PACED) == {"motion", "status"}
    assert f"a change of `motion` and one of `status` in {1 / desk.STATE_PER_S:.0f} s" in text
    # At each message one of: motion changes, or status becomes one of the other two that pixels can cause.
    assert f"each one of at most 3 words: {len(desk.PACED) * desk.STATE_PER_S * math.log2(3):.1f} bits a second" in text


def test_every_subcommand_has_a_line_in_the_readme_and_none_is_invented() -> None:
    """The README is the first manual."""
    rows = re.findall(r"^\| `doorstep ([\w ]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(rows) == set(COMMANDS) | set(broker.usage.COMMANDS)


def test_the_readmes_configuration_is_legal() -> None:
    """Whoever copies it must not be the first to try it."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    toml = [block.replace("\n    ", "\n").strip() for block in blocks if "[broker]" in block]
    assert len(toml) == 1
    door = config.parse(toml[0])
    assert door.broker.host == "broker.lan"


def test_the_readme_names_every_status_and_counts_the_alphabet_right() -> None:
    """An automation is written from it."""
    text = (ROOT / "README.md").read_text()
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
    assert f"an alphabet of {words[len(SeeToTell)]}" in text
    for status in Status:
        assert f"`{status.value}`" in text


def test_the_oldest_set_is_the_floor_of_what_is_allowed() -> None:
    """`make test-oldest` must test what pyproject.toml promises."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]
    floors = dict(line.split(">=") for line in project["dependencies"] + extra["device"] + extra["demo"])
    lines = (ROOT / "tests" / "oldest.txt").read_text().splitlines()
    assert dict(line.split("==") for line in lines if not line.startswith("#")) == floors


def test_files_are_small() -> None:
    """The whole must be readable in one sitting."""
    for folder in ("device", "broker"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 260, path


def test_every_file_opens_with_its_law() -> None:
    """One sentence of purpose, and rules a reviewer can hold a change against."""
    for folder in ("device", "broker"):
        for path in (ROOT / folder).rglob("*.py"):
            if not path.name.startswith("__"):
                assert re.match(r'"""[^"]+?Rule 1: ', path.read_text()), path
