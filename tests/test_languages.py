"""The same few things in four languages: whole, short enough, and only where a person reads them."""

from __future__ import annotations

import json
import plistlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import pairing, papers
from broker.ntfy import words_of
from broker.pairing import Pairing
from broker.papers import PAPERS
from device import config
from device.config import Config
from device.messages import SeeToTell
from device.tell.discovery import discovery
from device.tell.languages import LANGUAGES, heard
from device.tell.words import ENGLISH, EXPIRY_S, PAYLOAD_MOST_BYTES, Alert, Status, Words
from tests.broker_rig import House
from tests.rig import Mosquitto, Phone, Teller, doorstep, plain, until
from tests.test_broker_pairing import house, paper  # noqa: F401 - fixtures

CODES = sorted(LANGUAGES)
AGES_S = [0.0, 30.0, 59 * 60.0, 23 * 3600.0, 9e9]  # in time, and the longest words of each step
PLACES = ["front door", "Haustür", "la porte d'entrée", "Puerta, la de atrás: 12", "門", "{place}", "x" * 60, "é" * 30, "a, 3 min ago"]
each_language = pytest.mark.parametrize("code", CODES)


def test_each_place_that_knows_languages_knows_the_same() -> None:
    """One that is missing somewhere is a traceback at the door of somebody who speaks it."""
    from broker.book import Book

    assert set(LANGUAGES) == set(config.LANGUAGES) == set(PAPERS) == {path.stem for path in Path(papers._STEPS).glob("*.txt")}
    for code in LANGUAGES:
        assert Config(language=code).language == code
        Book(hosts=("x",), port=1, bind="", loopback_port=0, memory="/run/x", run_as="x", language=code)
        said = doorstep("broker", "setup", "--help").stdout
        assert f"{{{','.join(config.LANGUAGES)}}}" in said.replace(" ", "").replace("\n", "")


@each_language
def test_each_language_has_every_phrase_and_says_each_alert_differently(code: str) -> None:
    """Two alerts with the same words would be one."""
    language = LANGUAGES[code]
    assert set(language.phrases) == set(Alert)
    assert set(language.sensor) == set(ENGLISH.sensor)
    assert set(language.entities) == set(ENGLISH.entities)
    phrases = [*language.phrases.values(), *language.sensor.values()]
    assert len(set(phrases)) == len(phrases)
    for phrase in phrases:
        assert [field for _, field, _, _ in Formatter().parse(phrase) if field is not None] == ["place"]
        assert phrase.isprintable()  # the relay takes nothing else
    if language is not ENGLISH:
        assert set(phrases) & {*ENGLISH.phrases.values(), *ENGLISH.sensor.values()} == set()
        assert all(re.match(r"\{place\} ?: ", phrase) for phrase in phrases)  # whatever gender the place is of


@each_language
@pytest.mark.parametrize("sensor", [False, True])
def test_every_alert_fits_with_the_longest_place_and_the_longest_lateness(code: str, sensor: bool) -> None:
    """The contract's 128 bytes are the proof that nothing else fits."""
    for place in PLACES:
        words = Words("front-door", Config(place=place).place, LANGUAGES[code], sensor=sensor)
        for alert in Alert:
            for age_s in AGES_S:
                said, event = words.alert(alert, age_s), words.event(alert, age_s)
                assert max(len(said.payload.encode()), len(event.payload.encode())) <= PAYLOAD_MOST_BYTES
                assert json.loads(event.payload)["event_type"] == alert.value
                assert place in said.payload


@given(st.sampled_from(CODES), st.text(max_size=60), st.sampled_from(list(Alert)), st.sampled_from(AGES_S), st.booleans())
def test_no_place_hides_the_language_of_its_alert_or_how_late_it_is(code: str, place: str, alert: Alert, age_s: float, sensor: bool) -> None:
    """No input of a place makes the relay add a second lateness, or one in another language."""
    try:
        words = Words("front-door", Config(place=place).place, LANGUAGES[code], sensor=sensor)
    except config.ConfigError:
        return
    assert heard(words.alert(alert, age_s).payload) == (LANGUAGES[code], age_s >= 5)


def test_a_place_may_look_like_another_languages_words() -> None:
    """The first language that fits is believed; a stranger's words are English, and never refused for it."""
    assert heard("Hof: Bewegung") == (LANGUAGES["de"], False)
    assert heard("Hof: Bewegung, vor 3 min") == (LANGUAGES["de"], True)
    assert heard("Hof: Bewegung, 3 min ago") == (ENGLISH, False)
    assert heard("the milkman came") == (ENGLISH, False)


@pytest.mark.parametrize(("text", "late"), [
    ("motion at front door", ", 12 min ago"), ("Haustür: Bewegung", ", vor 12 min"), ("Entrée : mouvement", ", il y a 12 min"),
    ("Puerta: movimiento", ", hace 12 min"),
])
def test_the_relay_says_how_late_in_the_alerts_own_language(text: str, late: str) -> None:
    """Half a sentence in another language is what a machine says."""
    assert words_of(text.encode(), EXPIRY_S - 720) == text + late
    assert words_of((text + late).encode(), EXPIRY_S - 1800) == text + late
    assert words_of(text.encode(), EXPIRY_S) == text


@each_language
def test_home_assistant_gets_names_in_it_and_the_contracts_words_in_english(code: str) -> None:
    """An automation that hangs on `watching` must not break when somebody changes the language."""
    ours, english = (discovery(Words("front-door", "front door", language), button=True) for language in (LANGUAGES[code], ENGLISH))
    parts, plain_parts = (json.loads(each.payload)["components"] for each in (ours, english))
    for name, part in parts.items():
        assert part["name"] == LANGUAGES[code].entities[name]
        assert {**part, "name": ""} == {**plain_parts[name], "name": ""}
    assert parts["status"]["options"] == [status.value for status in Status]


def test_the_owner_reads_it_in_the_configured_language(tmp_path: Path, broker: Mosquitto, phone: Phone) -> None:
    """From doorstep.toml to the phone, by the real `tell`; states stay as the contract has them."""
    toml = 'place = "Haustür"\nlanguage = "de"\n' + plain(broker.port, "[alerts]\ncooldown_s = 0", '[camera]\nsource = "pir"')
    with Teller(tmp_path, toml) as teller:
        phone.wait("status", "watching")
        teller.motion()
        phone.wait("alert", "Haustür: Bewegung")
        phone.wait("event", '{"event_type":"motion"}')
        teller.sender.send(SeeToTell.CAMERA_LOST)
        phone.wait("alert", "Haustür: kein Bewegungsmelder")
        phone.wait("status", "no camera")
        until(lambda: phone.said("config"), "discovery")
    assert json.loads(phone.said("config")[0])["components"]["motion"]["name"] == "Bewegung"


def test_config_check_says_what_the_phone_will(tmp_path: Path) -> None:
    """So that a place can be read in its sentence before anybody comes."""
    (tmp_path / "doorstep.toml").write_text('place = "Entrée"\nlanguage = "fr"\n')
    assert '"Entrée : mouvement"' in doorstep("config", "check", tmp_path / "doorstep.toml").stdout
    (tmp_path / "doorstep.toml").write_text('language = "it"\n')
    assert '"en", "de", "fr", "es"' in doorstep("config", "check", tmp_path / "doorstep.toml").stderr


@each_language
def test_the_steps_are_the_same_in_each_language(code: str, paper: Pairing) -> None:  # noqa: F811 - the fixture
    """A step that is missing in one is a phone that stays silent."""
    own, english = papers.steps(code), papers.steps("en")
    fields = [sorted(field for _, field, _, _ in Formatter().parse(text) if field) for text in (own, english)]
    assert fields[0] == fields[1]
    assert [line[:4] for line in own.splitlines() if re.match(r"  \d\.", line)] == [line[:4] for line in english.splitlines() if re.match(r"  \d\.", line)]
    text = pairing.steps(replace(paper, language=code))
    for part in text.split("\n\n"):
        assert len(re.findall(r"^  \d\. ", part, re.MULTILINE)) in (0, 2, 5)
    for word in ("ca.crt", "iot-mqtt-panel.json", "settings.toml", "doorstep.mobileconfig", "QoS 1", "MQTT Dash", paper.user, paper.host,
                 "doorstep broker setup --home-assistant", "doorstep broker ntfy --help", LANGUAGES[code].entities["alert"]):
        assert word in text, word
    assert paper.password not in text
    assert max(map(len, text.splitlines())) <= 120


@each_language
def test_the_papers_work_in_each_language(code: str, paper: Pairing) -> None:  # noqa: F811 - the fixture
    """The relay reads the keys, a camera the code, an app the import, an iPhone the profile: none of them reads words."""
    own = replace(paper, language=code)
    assert tomllib.loads(pairing.settings(own)) == tomllib.loads(pairing.settings(paper))
    assert set(PAPERS[code].comments) == set(PAPERS["en"].comments) <= set(tomllib.loads(pairing.settings(own)))
    assert set(PAPERS[code].leaves) == {"alert", "status"}
    for value in (paper.host, str(paper.port), paper.user, paper.password, *paper.topics):
        assert value in pairing.spoken(own)
    profile, english = (plistlib.loads(pairing.mobileconfig(paper.ca, PAPERS[each])) for each in (code, "en"))
    assert profile["PayloadUUID"] == english["PayloadUUID"]  # in another language it is the same one
    assert (code == "en") == (profile["PayloadDescription"] == english["PayloadDescription"])
    assert {"settings.png", "settings.svg"} <= set(pairing.documents(own))


def test_a_phone_gets_its_papers_in_the_brokers_language_or_in_its_own(house: House, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811 - the fixture
    """A household may speak two."""
    house.do("setup", "--language", "de")
    house.do("phone", "add", "anna")
    house.do("phone", "add", "luc", "--language", "fr")
    said = capsys.readouterr().out
    for name, words in (("anna", "anna koppeln"), ("luc", "Appairage de luc")):
        assert words in (house.root / "phones" / name / "steps.txt").read_text()
        assert words in said
    assert "# Die Einstellungen von anna" in said
    house.do("setup", "--language", "en")
    house.do("phone", "add", "bob")
    assert "Pairing bob" in (house.root / "phones/bob/steps.txt").read_text()


def test_a_broker_that_was_set_up_before_there_were_languages_is_english(house: House) -> None:  # noqa: F811 - the fixture
    """An upgrade must not lock anybody out."""
    book = house.root / "doors.json"
    rows = json.loads(book.read_text())
    del rows["language"]
    book.write_text(json.dumps(rows))
    house.do("phone", "add", "anna")
    assert "Pairing anna" in (house.root / "phones/anna/steps.txt").read_text()
