"""Fixtures: a clean machine. Skipped, with the reason, where none is set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.machine import Machine

PREFIX = Path(os.environ["INSTALL"]).absolute() if "INSTALL" in os.environ else None  # by `make test-install`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and (PREFIX is None or not (PREFIX / "stamp").exists()):
            item.add_marker(pytest.mark.skip(reason="no clean machines; try: sudo make test-install"))


@pytest.fixture(params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    assert PREFIX is not None
    with Machine(PREFIX, request.param) as machine:
        yield machine
