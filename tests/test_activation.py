"""Sockets as systemd hands them over."""

from __future__ import annotations

import pytest

from device.activation import handed
from device.errors import ConfigError

LISTEN = {"LISTEN_PID": "7"}


@pytest.mark.parametrize(("environment", "fds"), [
    ({"LISTEN_FDS": "1"}, {"see": 3}),
    ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "doorstep-tell.socket"}, {"see": 3}),
    ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "see:keep"}, {"see": 3, "keep": 4}),
    ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "keep:see"}, {"see": 4, "keep": 3}),
])
def test_systemds_sockets_are_told_apart_by_name(environment: dict[str, str], fds: dict[str, int]) -> None:
    """Their order is that of a unit's lines, which anybody may sort."""
    assert handed(LISTEN | environment, 7, "help", "see", "keep") == fds


@pytest.mark.parametrize("environment", [
    {}, {"LISTEN_FDS": "1", "LISTEN_PID": "8"}, {"LISTEN_FDS": "0"}, {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "see:keep:x"},
    {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "keep"}, {"LISTEN_FDS": "2"}, {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "see:see"},
    {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "see"}, {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "see:unknown"},
    {"LISTEN_FDS": "x"}, {"LISTEN_FDS": "-1"},
])
def test_sockets_of_unknown_use_are_refused(environment: dict[str, str]) -> None:
    """To guess would be to hear the one process on the other's link."""
    with pytest.raises(ConfigError):
        handed(LISTEN | environment, 7, "help", "see", "keep")
