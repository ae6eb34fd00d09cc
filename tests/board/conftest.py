"""Fixtures: the board as new, and a door on it. Skipped, with the reason, where it is not set up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.board.door import Door
from tests.board.rig import SNAPSHOT, Board

PREFIX = Path(os.environ["BOARD"]).absolute() if "BOARD" in os.environ else None  # by `make test-board`; see setup.sh


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and (PREFIX is None or not (PREFIX / "stamp").exists()):
            item.add_marker(pytest.mark.skip(reason="no virtual board; try: sudo make test-board"))
    # One board for a whole file: what uninstalls goes last in it.
    places = [place for place, item in enumerate(items) if item.path == here / "test_units.py"]
    for place, item in zip(places, sorted((items[place] for place in places), key=lambda item: "uninstalled" in item.name), strict=True):
        items[place] = item


@pytest.fixture
def board() -> Iterator[Board]:
    """The board as its snapshot left it, with the project as it is now."""
    assert PREFIX is not None
    with Board(PREFIX, "-loadvm", SNAPSHOT) as board:
        board.put_project()
        yield board


@pytest.fixture
def door(board: Board) -> Iterator[Callable[..., Door]]:
    """`door("[camera]", ...)`: the house on the board, with a broker and a phone; what it said is shown where a test fails."""
    doors: list[Door] = []

    def door(*toml: str) -> Door:
        doors.append(Door(board, *toml))
        return doors[-1]

    yield door
    for opened in doors:
        print(opened.log())
