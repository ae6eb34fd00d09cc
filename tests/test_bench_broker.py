"""The benchmark of the broker: it measures what it says, and broker/README.md's numbers are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.tell.words import Alert, Words
from tests.bench import ROOT, broker
from tests.bench.broker_clients import packets, publish


def test_ten_connections_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that rots is believed the longer."""
    for name, seconds in (("MINUTE_S", 1.0), ("STEADY_S", 2.0), ("FULL_S", 0.5)):
        monkeypatch.setattr(broker, name, seconds)
    page, found = tmp_path / "page.md", tmp_path / "found.json"
    page.write_text(f"{broker.MARKED.begin}\n{broker.MARKED.end}\n")
    assert broker.main(["--connections", "10", "--json", str(found), "--table", str(page)]) == 0
    row = json.loads(found.read_text())["rows"][0]
    assert row["connections"] == 10
    assert row["full_per_s"] > 10 and row["memory_mb"] > 1 and 0 < row["steady_p50_ms"] <= row["steady_p99_ms"]
    assert broker.MARKED.within(page.read_text()) == broker.markdown(json.loads(found.read_text()))


def test_the_documents_numbers_are_those_that_were_measured() -> None:
    """No load is written by hand; and that the comparison can fail, with one number changed."""
    measured = json.loads(broker.RESULT.read_text())
    page = broker.MARKED.within((ROOT / "broker" / "README.md").read_text())
    assert page == broker.markdown(measured)
    measured["rows"][0]["full_per_s"] += 1
    assert page != broker.markdown(measured)


def test_packets_are_taken_whole_however_they_come() -> None:
    """A stream has no edges: half a packet is none yet, two may come at once."""
    one, two = publish(Words("x", "y").alert(next(iter(Alert)), 0), 1), publish(Words("x", "y" * 99).motion(True), 2)
    buffer, found = bytearray(), []
    for byte in one + two:
        buffer.append(byte)
        found += packets(buffer)
    assert [first for first, _ in found] == [0x32, 0x32]
    assert not buffer
    assert packets(bytearray(one + two)) == found
