"""The broker of the demo, and of a house that has no broker configured: amqtt, on this machine only.

Rule 1: it listens on 127.0.0.1 and nowhere else.
Rule 2: it keeps everything in memory; nothing of it outlives the process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
import socket
import sys
import time

from device.errors import DoorstepError
from device.stopping import die_with_parent

HOST = "127.0.0.1"
MQTT_VERSION = "3.1.1"  # all that amqtt 0.12 speaks; asked for 5 with a last will, it does not even answer


def require() -> None:
    """Raise DoorstepError where the embedded broker is not installed."""
    if importlib.util.find_spec("amqtt") is None:
        raise DoorstepError("no broker is configured, and the embedded one is not installed",
                            "name yours under [broker] in doorstep.toml; to try it without, in a checkout: make demo")


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(port: int, most_s: float = 10.0) -> None:
    """Wait until it listens; after `most_s` let its clients do the waiting, which they can."""
    until_s = time.monotonic() + most_s
    while time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()
    await broker.shutdown()


def main() -> int:
    """`python -m broker.embedded PORT PARENT_PID`: serve until the parent ends or asks."""
    port, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent_pid, signal.SIGKILL)
    # amqtt reports each client that speaks MQTT 5 as an error; what matters to us its clients say.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    asyncio.run(_serve(port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
