"""How Home Assistant learns of this door: one device discovery document.

Rule 1: it names the contract's topics and words, and nothing that an eye has seen.
"""

from __future__ import annotations

import json

from device import __version__
from device.tell.words import Alert, Publish, Status, Words

PREFIX = "homeassistant"
BIRTH_TOPIC, BIRTH_WORD = f"{PREFIX}/status", b"online"  # the one thing `tell` listens to


def discovery(words: Words, *, button: bool = False) -> Publish:
    """Return the document: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload."""
    name = f"doorstep_{words.device_id}"
    recording = {
        "platform": "binary_sensor",
        "name": words.language.entities["recording"],
        "unique_id": f"{name}_recording",
        "device_class": "running",
        "state_topic": words.topic("recording"),
    }
    document = {
        "device": {
            "identifiers": [name],
            "name": words.place[:1].upper() + words.place[1:],
            "manufacturer": "Doorstep",
            "model": "Doorstep",
            "sw_version": __version__,
        },
        "origin": {"name": "Doorstep", "sw_version": __version__},
        "availability_topic": words.topic("status"),
        "availability_template": "{{ 'offline' if value == 'offline' else 'online' }}",
        "qos": 1,
        "components": {
            "motion": {
                "platform": "binary_sensor",
                "name": words.language.entities["motion"],
                "unique_id": f"{name}_motion",
                "device_class": "motion",
                "state_topic": words.topic("motion"),
            },
            **({"recording": recording} if button else {}),
            "alert": {
                "platform": "event",
                "name": words.language.entities["alert"],
                "unique_id": f"{name}_alert",
                "event_types": [alert.value for alert in Alert],
                "state_topic": words.topic("event"),
            },
            "status": {
                "platform": "sensor",
                "name": words.language.entities["status"],
                "unique_id": f"{name}_status",
                "device_class": "enum",
                "options": [status.value for status in Status],
                "entity_category": "diagnostic",
                "state_topic": words.topic("status"),
            },
        },
    }
    payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Publish(f"{PREFIX}/device/{words.device_id}/config", payload, retain=True)
