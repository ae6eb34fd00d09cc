"""The whole product on this machine for half a minute: a porch, a broker, and what the phone would show.

Rule 1: nothing is pretended: the processes, the wall and the MQTT messages are the product's own.
Rule 2: what is shown is what a subscriber received, and every byte of it is counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt
import pyrage
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console
from rich.markup import escape

from device.config import Config
from device.keep import layout
from device.run import House
from device.stopping import Stop

LASTS_S = 25.0
ENOUGH_ALERTS = 2


@dataclass(slots=True)
class Phone:
    """A subscriber that shows what arrives, as a phone would, and counts it."""

    config: Config
    console: Console
    alerts: int = 0
    messages: int = 0
    size_bytes: int = 0
    _client: mqtt.Client = field(init=False)
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-phone")
        client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect(self.config.broker.host, self.config.broker.port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        leaf, text = message.topic.rsplit("/", 1)[-1], message.payload.decode()
        self.messages += 1
        self.size_bytes += len(message.payload)
        at = f"[dim]{time.monotonic() - self._began_s:5.1f} s[/dim]"
        if leaf == "alert":
            self.alerts += 1
            self.console.print(f"{at}  [bold green]phone:[/bold green] [bold]{escape(text)}[/bold]", highlight=False)
        else:
            shown = text if leaf != "config" else f"{len(text)} bytes that tell Home Assistant of this door"
            self.console.print(f"{at}  [dim]{leaf}: {escape(shown)}[/dim]", highlight=False)


def demo(config: Config, *, forever: bool) -> int:
    """Run the demo; return 0 if at least one alert arrived."""
    console = Console()
    console.print("[bold]Doorstep demo.[/bold] "
                  + ("A drawn porch; somebody will come." if config.camera.source == "porch" else
                     f"The camera ({config.camera.source}): walk past it.")
                  + (" Ctrl-C ends it." if forever else f" It ends by itself within {LASTS_S + 5:g} s."))
    if sys.stdin is not None and sys.stdin.isatty():
        console.print("[bold]r[/bold] is the record button, [bold]p[/bold] pauses; what you record goes at the end.",
                      highlight=False)
    owner = pyrage.x25519.Identity.generate()  # a stranger to every disk
    with tempfile.TemporaryDirectory(prefix="doorstep-demo-", dir="/dev/shm") as folder:
        os.environ["RUNTIME_DIRECTORY"] = folder  # of its own: no alert of another run may turn up in it
        recording = replace(config.recording, recipients=(str(owner.to_public()),), folder=f"{folder}/recordings",
                            longest_s=10.0, bitrate_mbit=1.0, budget_mb=100.0)
        status = _show(replace(config, recording=recording), console, forever)
        for clip in sorted(Path(folder, "recordings", layout.CLIPS).glob("*.age")):
            sealed = clip.read_bytes()
            video = pyrage.decrypt(sealed, [owner])
            console.print(f"Recorded: {len(sealed)} bytes that only their owner opens; in them {len(video)} of video",
                          highlight=False)
    return status


def _show(config: Config, console: Console, forever: bool) -> int:
    with Stop() as stop, House(config, stop) as house, Phone(house.config, console) as phone:
        until_s = time.monotonic() + LASTS_S
        status = None
        while status is None and (forever or time.monotonic() < until_s):
            status = house.step(0.2)
    console.print(f"\n{phone.alerts} alert{'s' * (phone.alerts != 1)}. All that was sent: {phone.messages} messages, "
                  f"{phone.size_bytes} bytes.", highlight=False)
    if status:
        return status
    if not phone.alerts and not stop.asked:
        console.print("[red]No alert arrived.[/red]")
        return 1
    return 0
