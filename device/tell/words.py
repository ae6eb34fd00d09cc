"""Every word that may leave this house, and the only way to make one.

Rule 1: a payload is built from these closed sets, the owner's words for the place, and nothing else.
Rule 2: every payload but the discovery document is at most PAYLOAD_MOST_BYTES long.
Rule 3: what could become a record of comings and goings is never retained.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass

PAYLOAD_MOST_BYTES = 128
EXPIRY_S = 3600  # an alert that the broker could not deliver within the hour is no longer one
LATE_AFTER_S = 5.0  # a healthy link takes milliseconds; reconnecting after a blink, a second or two


class Alert(enum.Enum):
    """What the owner is told; the value is the event type of Home Assistant's event entity."""

    MOTION = "motion"
    MOTION_KEEPS_ON = "motion_keeps_on"
    NO_CAMERA = "no_camera"
    CAMERA_BACK = "camera_back"
    VIEW_BLOCKED = "view_blocked"
    VIEW_CLEAR = "view_clear"
    RECORDING = "recording"
    RECORDING_FAILED = "recording_failed"
    NO_RECORDING = "no_recording"
    RECORDING_POSSIBLE = "recording_possible"
    WATCHING_PAUSED = "watching_paused"
    WATCHING_AGAIN = "watching_again"
    STORAGE_LOW = "storage_low"
    NO_BUTTON = "no_button"
    BUTTON_BACK = "button_back"



@dataclass(frozen=True, slots=True)
class Language:
    """How one language says it to a person. A phrase stands with any place, whatever its gender, number and case."""

    phrases: Mapping[Alert, str]
    sensor: Mapping[Alert, str]  # instead of those, where a motion sensor watches and no camera
    late: tuple[str, str, str, str]  # less than a minute, {n} minutes, {n} hours, more than a day
    entities: Mapping[str, str]  # the names of Home Assistant's entities, by topic


ENGLISH = Language({
    Alert.MOTION: "motion at {place}",
    Alert.MOTION_KEEPS_ON: "motion keeps on at {place}",
    Alert.NO_CAMERA: "no camera at {place}",
    Alert.CAMERA_BACK: "camera back at {place}",
    Alert.VIEW_BLOCKED: "view blocked at {place}",
    Alert.VIEW_CLEAR: "view clear at {place}",
    Alert.RECORDING: "recording at {place}",
    Alert.RECORDING_FAILED: "recording failed at {place}",
    Alert.NO_RECORDING: "no recording possible at {place}",
    Alert.RECORDING_POSSIBLE: "recording possible again at {place}",
    Alert.WATCHING_PAUSED: "watching paused at {place}",
    Alert.WATCHING_AGAIN: "watching again at {place}",
    Alert.STORAGE_LOW: "storage low at {place}",
    Alert.NO_BUTTON: "record button not working at {place}",
    Alert.BUTTON_BACK: "record button works again at {place}",
}, {
    Alert.NO_CAMERA: "no sensor at {place}",
    Alert.CAMERA_BACK: "sensor back at {place}",
}, ("less than a minute ago", "{n} min ago", "{n} h ago", "more than a day ago"),
    {"motion": "Motion", "recording": "Recording", "alert": "Alert", "status": "Status"})


class Status(enum.Enum):
    """What the device is doing; tied to frames, not to the socket."""

    WATCHING = "watching"
    QUIET = "quiet"  # watching, in quiet hours
    NO_CAMERA = "no camera"
    VIEW_BLOCKED = "view blocked"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Publish:
    """One MQTT message as it leaves. QoS is 1 always: told at least once."""

    topic: str
    payload: str
    retain: bool = False
    expiry_s: int | None = None


def late_words(age_s: float, language: Language = ENGLISH) -> str:
    """Say how late, in steps too coarse to be a log; empty where it is not late."""
    if not age_s >= LATE_AFTER_S:
        return ""
    minutes = int(age_s // 60)
    if minutes < 1:
        return language.late[0]
    if minutes < 60:
        return language.late[1].format(n=minutes)
    return language.late[2].format(n=minutes // 60) if minutes < 24 * 60 else language.late[3]


@dataclass(frozen=True, slots=True)
class Words:
    """Everything that the door called `device_id` at `place` can say. sensor: it has one, and no camera."""

    device_id: str
    place: str
    language: Language = ENGLISH
    sensor: bool = False

    def topic(self, leaf: str) -> str:
        """Return the full topic of this door's `leaf`."""
        return f"doorstep/{self.device_id}/{leaf}"

    def phrase(self, alert: Alert) -> str:
        """Return the words for `alert`."""
        own = self.language.sensor if self.sensor else {}
        return own.get(alert, self.language.phrases[alert]).format(place=self.place)

    def alert(self, alert: Alert, age_s: float) -> Publish:
        """What an MQTT app shows."""
        late = late_words(age_s, self.language)
        text = self.phrase(alert) + (f", {late}" if late else "")
        return self._short("alert", text, expiry_s=EXPIRY_S)

    def event(self, alert: Alert, age_s: float) -> Publish:
        """The same for Home Assistant's event entity."""
        late = late_words(age_s, self.language)
        document = {"event_type": alert.value} | ({"late": late} if late else {})
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        return self._short("event", text, expiry_s=EXPIRY_S)

    def motion(self, on: bool) -> Publish:
        """Whether something moves now; retained it would be a phantom alert at every reconnect."""
        return self._short("motion", "ON" if on else "OFF", expiry_s=EXPIRY_S)

    def recording(self, on: bool) -> Publish:
        """Whether a clip is recorded now: a state, which whoever subscribes later must know too."""
        return self._short("recording", "ON" if on else "OFF", retain=True)

    def status(self, status: Status) -> Publish:
        """What the device is doing."""
        return self._short("status", status.value, retain=True)

    def _short(self, leaf: str, payload: str, *, retain: bool = False, expiry_s: int | None = None) -> Publish:
        if len(payload.encode()) > PAYLOAD_MOST_BYTES:
            raise ValueError(f"a payload of {len(payload.encode())} bytes for {leaf}")
        return Publish(self.topic(leaf), payload, retain, expiry_s)
