"""doorstep.toml: strict, and every refusal says what to do next."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import config
from device.config import Alerts, Broker, Camera, Config, Detector
from device.errors import ConfigError
from device.tell import credentials

PARTS = (Config, Camera, Detector, Alerts, Broker)


def test_the_example_is_the_defaults_and_names_every_setting() -> None:
    """What the example says must be what happens without it."""
    text = config.example()
    assert config.parse(text) == Config()
    for part in PARTS:
        for item in dataclasses.fields(part):
            assert f"{item.name} = " in text or f"[{item.name}]" in text


def test_a_config_survives_being_written_and_read() -> None:
    """`doorstep run` hands it to its children that way."""
    door = Config(id="back", place='Tür "hinten" \\ 門', camera=Camera(source="porch", frames_per_s=5),
                  broker=Broker(host="broker.lan", user="door", password_file="/etc/doorstep/password"))
    assert config.parse(config.to_toml(door)) == door


@pytest.mark.parametrize(("toml", "says", "hint"), [
    ("idd = 'x'", 'unknown setting "idd"', "did you mean id?"),
    ("[camera]\nframe_per_s = 3", '[camera] unknown setting "frame_per_s"', "did you mean frames_per_s?"),
    ("[brocker]\nport = 3", 'unknown setting "brocker"', "did you mean broker?"),
    ("[broker]\nport = 'x'", '[broker] port = "x"', "a whole number from 1 to 65535"),
    ("[broker]\nport = true", "[broker] port = true", "a whole number"),
    ("[broker]\nport = 0", "[broker] port = 0", "from 1 to 65535"),
    ("[camera]\nframes_per_s = nan", "frames_per_s = NaN", "from 2 to 30"),
    ("[camera]\nsource = 'usb'", 'source = "usb"', 'one of "auto", "picamera2"'),
    ("[camera]\nsource = 'file'", "names no recording", "add: path"),
    ("camera = 3", "camera is a table", "write it as [camera]"),
    ("id = 'a/b'", 'id = "a/b"', "a-z, 0-9"),
    ("id = 'a#'", 'id = "a#"', "a-z, 0-9"),
    ("id = '+'", 'id = "+"', "a-z, 0-9"),
    ("id = ''", 'id = ""', "1 to 32"),
    ("place = 'a\\nb'".replace("'", '"'), "place =", "one line of printable text"),
    (f"place = '{'x' * 200}'", "place =", "1 to 60 bytes"),
    ("place = ' '", "place =", "no space at either end"),
    ("[broker]\nhost = '10.0.0.1'\ntls = false", "another machine", "this machine only"),
    ("[broker]\nhost = 'local.host'\ntls = false", "another machine", "this machine only"),
    ("[broker]\nport = 1883", "port is set, but no host", "add: host"),
    ("[broker]\nhost = 'x'\nuser = 'door'", "user and password_file belong together", "both"),
    ("[broker]\nhost = 'x'\ncert_file = 'a'", "cert_file and key_file belong together", "both"),
    ("a = ", "doorstep.toml:", "doorstep config example"),
])
def test_a_wrong_setting_is_named_with_what_is_allowed(toml: str, says: str, hint: str) -> None:
    """A typo must cost a minute, not an evening."""
    with pytest.raises(ConfigError) as refused:
        config.parse(toml)
    assert refused.value.message.startswith("doorstep.toml: ")
    assert says in refused.value.message
    assert hint in refused.value.hint
    assert "\n" not in refused.value.message + refused.value.hint


def test_an_illegal_value_cannot_be_built_in_code_either() -> None:
    """Check once, in the constructor."""
    with pytest.raises(ConfigError):
        Camera(frames_per_s=math.nan)
    with pytest.raises(ConfigError):
        Config(id="../../etc")
    with pytest.raises(ConfigError):
        Broker(host="example.org", tls=False)


@given(st.text(max_size=40))
def test_no_id_that_is_allowed_can_change_a_topic(text: str) -> None:
    """No input with a level, a wildcard or a control character becomes part of a topic."""
    try:
        door = Config(id=text)
    except ConfigError:
        return
    assert door.id.isascii()
    assert not set(door.id) & set("/#+$ \0\n")


@given(st.text(max_size=200))
def test_no_input_makes_the_parser_fail_otherwise_than_by_a_refusal(text: str) -> None:
    """No input is a traceback."""
    try:
        config.parse(text)
    except ConfigError as error:
        assert error.hint


def test_relative_paths_are_taken_from_the_files_own_folder(tmp_path: Path) -> None:
    """A service starts somewhere else than the person who wrote the file."""
    path = tmp_path / "doorstep.toml"
    path.write_text('[camera]\nsource = "file"\npath = "walk.mkv"\n[broker]\nhost = "x"\nca_file = "ca.crt"')
    door = config.load(path)
    assert (door.camera.path, door.broker.ca_file) == (f"{tmp_path}/walk.mkv", f"{tmp_path}/ca.crt")


def test_a_bare_file_name_makes_whole_paths_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`doorstep run --config doorstep.toml`: the children read it from elsewhere."""
    (tmp_path / "doorstep.toml").write_text('[broker]\nhost = "x"\nca_file = "ca.crt"')
    monkeypatch.chdir(tmp_path)
    assert config.load(Path("doorstep.toml")).broker.ca_file == f"{tmp_path}/ca.crt"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_inv_tls_or_nothing_plain_mqtt_stays_on_this_machine(host: str) -> None:
    """TLS may be left out only where there is no network to listen on."""
    assert credentials.load(Broker(host=host, tls=False)).tls is None
    context = credentials.load(Broker(host="broker.lan")).tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    assert context.minimum_version.name == "TLSv1_2"


def _broker(tmp_path: Path, **files: str) -> Broker:
    return Broker(host="x", user="door", password_file=str(tmp_path / "password"), **files)


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A secret in a readable file is none."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others") as refused:
        credentials.load(_broker(tmp_path))
    assert refused.value.hint == f"try: chmod 600 {secret}"
    secret.chmod(0o600)
    loaded = credentials.load(_broker(tmp_path))
    assert loaded.password == "hunter2"
    assert "hunter2" not in repr(loaded)


@pytest.mark.parametrize("content", [b"", b"two\nlines\n", b"\xff\xfe"])
def test_a_password_file_that_holds_no_password_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty password would be tried, and refused, for ever."""
    (tmp_path / "password").write_bytes(content)
    (tmp_path / "password").chmod(0o600)
    with pytest.raises(ConfigError):
        credentials.load(_broker(tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_ca_file_that_is_missing_or_none_is_refused_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    """Better no start than a start that can never connect."""
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o600)
    if content is not None:
        (tmp_path / "ca.crt").write_bytes(content)
    with pytest.raises(ConfigError, match="ca_file"):
        credentials.load(_broker(tmp_path, ca_file=str(tmp_path / "ca.crt")))
