"""The broker of the demo and of a house that has none: for this machine alone."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from broker.embedded import free_port, require, wait_until_up
from device.errors import DoorstepError


@pytest.fixture
def embedded() -> Iterator[tuple[int, int]]:
    """(process id, port) of one that listens."""
    port = free_port()
    command = [sys.executable, "-m", "broker.embedded", str(port), str(os.getpid())]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_up(port)
            yield process.pid, port
        finally:
            process.terminate()


def listeners(pid: int) -> set[str]:
    """Every address and port on which a process takes TCP connections or UDP packets."""
    lines = subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[4] for line in lines if re.search(rf"\bpid={pid}\b", line)}


def test_where_it_is_not_installed_the_hint_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with the package, into whose libraries nobody installs another, and under a name that is nobody's elsewhere yet."""
    monkeypatch.setitem(sys.modules, "amqtt", None)
    with pytest.raises(DoorstepError) as refused:
        require()
    assert "make demo" in refused.value.hint


def test_it_listens_on_loopback_and_nowhere_else(embedded: tuple[int, int]) -> None:
    """It asks for no password: on the network it would be everybody's."""
    pid, port = embedded
    assert listeners(pid) == {f"127.0.0.1:{port}"}


def test_a_listener_on_all_addresses_would_be_found() -> None:
    """The comparison above can fail."""
    with socket.create_server(("0.0.0.0", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
        packets.bind(("0.0.0.0", 0))
        assert listeners(os.getpid()) >= {f"0.0.0.0:{end.getsockname()[1]}" for end in (server, packets)}
