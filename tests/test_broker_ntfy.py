"""The relay: the words of an alert reach ntfy once each, wait while it is away, and nothing else leaves the house."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import ntfy
from broker.ntfy import Target, ask, entry, target, words_of
from device.errors import ConfigError
from device.stopping import Stop
from device.tell.words import EXPIRY_S, PAYLOAD_MOST_BYTES
from tests.broker_rig import House
from tests.rig import doorstep, environment, free_port, until

TOPIC = "door-7f3a9c"


@dataclass
class Ntfy:
    """A server that takes what ntfy takes: POST to a topic with the words as its body."""

    status: int = 200
    got: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        rig = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if self.command == "POST":
                    rig.got.append((self.path, body, dict(self.headers)))
                self.send_response(rig.status if self.command == "POST" else 200)
                if 300 <= rig.status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{rig.port}/elsewhere")
                self.end_headers()

            do_GET = do_POST = answer  # noqa: N815 - http.server's own names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@dataclass
class Relay:
    house: House
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        to = self.house.folder / "ntfy.toml"
        to.write_text(f'url = "http://127.0.0.1:{self.port}/{TOPIC}"\ntoken = "tk_secret"\n')
        to.chmod(0o600)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device", "broker", "ntfy", "--phone", str(self.house.root / "phones" / "relay"),
                 "--to", str(to)], stderr=log, env=environment())
        until(lambda: "connected to localhost" in self.said, lambda: self.said)
        return self

    @property
    def log(self) -> Path:
        return self.house.folder / "relay.log"

    @property
    def said(self) -> str:
        return self.log.read_text()

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0


@pytest.fixture
def house(tmp_path: Path, runtime_folder: Path) -> Iterator[House]:
    with House(tmp_path, runtime_folder / "broker") as house:
        house.do("phone", "add", "relay")
        yield house


def test_the_words_of_an_alert_reach_ntfy_and_nothing_else_does(house: House) -> None:
    """No topic of MQTT, no device, no status, no event: only what the owner would read."""
    with Ntfy() as server, Relay(house, server.port) as relay:
        house.say("status", "watching", "-r")
        house.say("event", '{"event_type":"motion"}')
        house.say("alert", "motion at front door")
        until(lambda: server.got, lambda: relay.said)
        house.say("alert", "x" * 200)  # no alert of ours is that long
        house.say("alert", "view clear at front door")
        until(lambda: len(server.got) == 2, lambda: f"{server.got} {relay.said}")
    assert [(path, words) for path, words, _ in server.got] == [
        (f"/{TOPIC}", "motion at front door"), (f"/{TOPIC}", "view clear at front door")]
    headers = server.got[0][2]
    assert set(headers) == {"Host", "Accept-Encoding", "Content-Length", "Authorization"}
    assert headers["Authorization"] == "Bearer tk_secret"
    assert relay.said.splitlines() == [f"doorstep ntfy: connected to localhost:{house.port}"]


def test_alerts_wait_at_the_broker_while_ntfy_is_away_and_arrive_once_each_in_order(house: House) -> None:
    """Nothing is lost, and no line of the log says that somebody came."""
    server = Ntfy(status=503)
    with Relay(house, server.port) as relay:
        before = relay.said
        for words in ("one", "two", "three"):
            house.say("alert", words)
        with server:
            until(lambda: server.got, "the first try")
            server.status = 200
            until(lambda: [words for _, words, _ in server.got][-1:] == ["three"], lambda: f"{server.got}")
        on_the_hour = [line for line in relay.said.splitlines() if "in the last hour" in line]
        assert [line for line in relay.said.splitlines() if line not in on_the_hour] == before.splitlines()
    assert [words for _, words, _ in server.got if words != "one"] == ["two", "three"]


def test_a_relay_that_is_killed_loses_nothing(house: House) -> None:
    """What it had not passed on the broker still has."""
    with Ntfy() as server, Relay(house, server.port) as relay:
        relay.process.kill()
        relay.process.wait(10)
        house.say("alert", "while it was dead")
        relay.__enter__()
        until(lambda: server.got, lambda: relay.said)
    assert [words for _, words, _ in server.got] == ["while it was dead"]


def test_a_removed_relay_says_so_and_stops_when_asked(house: House) -> None:
    """It tries again with back-off, and ends in time."""
    with Ntfy() as server, Relay(house, server.port) as relay:
        house.do("phone", "remove", "relay")
        until(lambda: "the broker refuses the relay (not authorized); was it removed?" in relay.said, lambda: relay.said)


def test_a_late_alert_says_how_late() -> None:
    """The relay was down for a while; "motion" would be a lie by now."""
    assert words_of(b"motion at front door", EXPIRY_S) == "motion at front door"
    assert words_of(b"motion at front door", EXPIRY_S - 720) == "motion at front door, 12 min ago"
    assert words_of(b"motion at front door, 3 min ago", EXPIRY_S - 720) == "motion at front door, 3 min ago"
    assert words_of(b"motion at front door", None) == "motion at front door"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_no_payload_is_passed_on_but_one_line_of_words(payload: bytes) -> None:
    """Whoever took a door must not be able to send a picture, or a header, by way of it."""
    words = words_of(payload, None)
    if words is not None:
        assert words.encode() == payload
        assert words.isprintable()
        assert 0 < len(payload) <= PAYLOAD_MOST_BYTES


def test_the_property_above_lets_an_alert_pass() -> None:
    """It must not hold because nothing ever passes."""
    assert words_of("Bewegung an der Haustür".encode(), None) == "Bewegung an der Haustür"
    assert words_of(b"a\r\nX: y", None) is None


@given(st.one_of(st.text(), st.from_regex(r"https?://[a-z0-9.:@/?#-]{0,40}", fullmatch=True)), st.one_of(st.none(), st.text()))
def test_no_target_leads_out_of_the_house_in_plain(url: str, token: str | None) -> None:
    """The words would be readable on the way, and the token too."""
    try:
        to = target({"url": url, **({} if token is None else {"token": token})})
    except ConfigError as error:
        assert len(url) < 5 or url not in error.message  # the topic is a secret
        return
    assert to.tls or to.host == "localhost" or to.host.startswith("127.")
    assert to.topic.isascii()
    assert to.token.isascii()


@pytest.mark.parametrize("values", [
    {}, {"url": "http://ntfy.sh/x"}, {"url": "https://ntfy.sh"}, {"url": "https://ntfy.sh/a/b"}, {"url": "https://u:p@ntfy.sh/x"},
    {"url": "https://ntfy.sh/x?y"}, {"url": "https://ntfy.sh/x\n"}, {"url": 1}, {"url": "https://ntfy.sh/x", "token": "a b"},
    {"url": "https://ntfy.sh/x", "topic": "y"}, {"url": "ftp://127.0.0.1/x"},
])
def test_what_is_no_target_is_refused(values: dict[str, object]) -> None:
    """Rather no relay than one that leaks."""
    with pytest.raises(ConfigError):
        target(values)


def test_a_target_is_read_as_it_stands() -> None:
    """Own servers have ports, and addresses."""
    assert target({"url": "https://ntfy.sh/x", "token": "tk_1"}) == Target(True, "ntfy.sh", None, "x", "tk_1")
    assert target({"url": "https://[fd00::1]:444/x"}) == Target(True, "fd00::1", 444, "x", "")
    assert target({"url": "http://127.0.0.1:80/x"}) == Target(False, "127.0.0.1", 80, "x", "")


def test_a_redirect_is_not_followed() -> None:
    """The token is for one server."""
    with Ntfy(status=302) as server:
        assert "refuses (302)" in ask(Target(False, "127.0.0.1", server.port, "x", "tk"), "POST", "/x", b"words")
        assert [path for path, _, _ in server.got] == ["/x"]


def test_an_ntfy_that_is_not_who_it_should_be_gets_nothing(house: House) -> None:
    """The broker's own port speaks TLS, with an authority that the world does not know."""
    assert "is not who it should be" in ask(Target(True, "localhost", house.port, "x", "tk"), "POST", "/x", b"words")


def test_a_failure_is_said_on_the_hour_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a second after each visitor would be a diary."""
    papers = {"host": "broker.lan", "port": 8883, "ca_file": "ca.crt", "user": "u", "password": "p", "topics": ["a/alert"]}
    said = []
    with Stop() as stop:
        relay = ntfy._Relay(entry(papers, Path("/p")), ssl.create_default_context(), Target(True, "ntfy.sh", None, "x", ""), stop)
        for hour, failed in ((1, 0), (1, 1), (1, 2), (2, 0), (2, 0), (3, 0)):
            monkeypatch.setattr(ntfy.time, "time", lambda hour=hour: hour * 3600.0)
            relay._failed += failed
            relay._say_on_the_hour()
            said.append(capsys.readouterr().err.count("did not take"))
    assert said == [0, 0, 0, 1, 0, 0]


def test_secrets_that_others_may_read_are_refused(house: House, tmp_path: Path) -> None:
    """The topic is a password."""
    to = tmp_path / "to.toml"
    to.write_text('url = "https://ntfy.example/x"\n')
    to.chmod(0o644)
    phone = house.root / "phones" / "relay"
    done = doorstep("broker", "ntfy", "--phone", phone, "--to", to)
    assert (done.returncode, f"chmod 600 {to}" in done.stderr) == (2, True)
    to.chmod(0o600)
    (phone / "settings.toml").write_text("x = 1\n")
    done = doorstep("broker", "ntfy", "--phone", phone, "--to", to)
    assert (done.returncode, "holds no pairing" in done.stderr) == (2, True)
    assert "ntfy.example" not in done.stderr
    to.chmod(0o440)  # as systemd hands a credential to a service
    done = doorstep("broker", "ntfy", "--phone", phone, "--to", to, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert "can be read by others" not in done.stderr
