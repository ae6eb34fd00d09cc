"""A real Home Assistant, with the user that `doorstep broker` made for it; the test is somebody who looks at it.

Rule 1: loopback only; a fresh configuration each time, kept across a restart; stopped by its process id.
Rule 2: what it shows is read over its own interface: states as they are, and every change as it comes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.broker_rig import House
from tests.rig import answers, free_port, until

START_MOST_S = 420.0  # the first start fetches what its parts need, with pip
LONG_AGO = "2026-01-01T00:00:00+00:00"
KEY, ID = "0" * 64, "1" * 32  # of a login that is good on this machine for as long as the test lasts


@dataclass(slots=True)
class HomeAssistant:
    """`with HomeAssistant(prefix, folder, house) as home:`; `home.changes(entity)` holds each new state of it."""

    prefix: Path
    folder: Path
    house: House
    port: int = field(default_factory=free_port)
    seen: list[tuple[str, str]] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _watching: threading.Thread | None = None

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def __enter__(self) -> Self:
        (self.folder / ".storage").mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(
            "homeassistant: {name: Test, unit_system: metric, time_zone: UTC}\n"
            f"http: {{server_host: 127.0.0.1, server_port: {self.port}}}\nlogger: {{default: warning}}\napi:\nmqtt:\n")
        self._store("core.config_entries", {"entries": [self._mqtt()]}, minor=5)
        self._store("auth", _login())
        self.start()
        return self

    def _store(self, name: str, data: dict[str, Any], minor: int = 1) -> None:
        whole = {"version": 1, "minor_version": minor, "key": name, "data": data}
        (self.folder / ".storage" / name).write_text(json.dumps(whole))

    def _mqtt(self) -> dict[str, Any]:
        """The entry that its MQTT integration makes of what it asks for: nothing but what the broker's papers say."""
        papers = self.house.papers("home-assistant")
        data = {"broker": papers["host"], "port": papers["port"], "username": papers["user"], "password": papers["password"],
                "certificate": (self.house.root / "home-assistant" / papers["ca_file"]).read_text(), "protocol": "5"}
        return {"created_at": LONG_AGO, "modified_at": LONG_AGO, "data": data, "disabled_by": None, "discovery_keys": {},
                "domain": "mqtt", "entry_id": "01JTESTMQTT0000000000000001", "minor_version": 2, "version": 1,
                "options": {"discovery": True}, "pref_disable_new_entities": False, "pref_disable_polling": False,
                "source": "user", "subentries": [], "title": "broker", "unique_id": None}

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([self.prefix / "venv/bin/python", "-m", "homeassistant", "-c", str(self.folder)],
                                             stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(self.folder)})
        until(self._up, lambda: f"Home Assistant to run: {self.log.read_text()}", START_MOST_S)
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return answers(self.port) and json.load(self._open("/api/config"))["state"] == "RUNNING"

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None
        if self._watching is not None:
            self._watching.join(10)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _open(self, path: str, body: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {_token()}"},
                                         data=None if body is None else json.dumps(body).encode())
        return urllib.request.urlopen(request, timeout=120)

    def _watch(self) -> None:
        """Take each change of a state, until Home Assistant ends."""
        with self._open("/api/stream?restrict=state_changed") as stream:
            for line in stream:
                if line.startswith(b"data: {"):
                    new = json.loads(line[6:])["data"]["new_state"]
                    if new is not None:
                        self.seen.append((new["entity_id"], new["state"]))

    def changes(self, entity: str) -> list[str]:
        """Every state of it since the start, oldest first."""
        return [state for name, state in self.seen if name == entity]

    def states(self) -> dict[str, dict[str, Any]]:
        """All that it shows now, by entity."""
        return {row["entity_id"]: row for row in json.load(self._open("/api/states"))}

    def shows(self, entity: str, state: str) -> None:
        """Wait until it shows that."""
        until(lambda: self.states().get(entity, {}).get("state") == state,
              lambda: f"{entity} {state}; it shows {self.states().get(entity)}, and showed {self.changes(entity)}", 60)

    def asked(self, template: str) -> str:
        """What a template of its own becomes: the way to what it knows of devices."""
        text: str = self._open("/api/template", {"template": template}).read().decode()
        return text


def _login() -> dict[str, Any]:
    user = {"id": ID, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "test",
            "system_generated": False, "local_only": True}
    token = {"id": ID, "user_id": ID, "client_id": None, "client_name": "test", "client_icon": None,
             "token_type": "long_lived_access_token", "created_at": LONG_AGO, "access_token_expiration": 1e9, "token": KEY,
             "jwt_key": KEY, "last_used_at": None, "last_used_ip": None, "expire_at": None, "credential_id": None, "version": None}
    return {"users": [user], "groups": [], "credentials": [], "refresh_tokens": [token]}


def _token() -> str:
    """A JSON Web Token as Home Assistant would have signed it."""
    now_s = int(time.time())
    parts = ({"alg": "HS256", "typ": "JWT"}, {"iss": ID, "iat": now_s, "exp": now_s + 3600})
    signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_base64(hmac.digest(KEY.encode(), signed.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
