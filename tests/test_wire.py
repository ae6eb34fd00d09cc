"""A whole session of alerts and a recording as others see it: on the wire, and at the door of the kernel.

Rule 1: dumpcap and strace look, not we.
Rule 2: what they saw is judged by closed lists, and each judgement is shown to find what it is there for.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from device.tell.discovery import discovery
from device.tell.words import PAYLOAD_MOST_BYTES, Alert, Publish, Status, Words
from tests.rig import Got, Mosquitto, Phone, until
from tests.test_recording import door, plain_video

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may capture packets and trace a confined process")

WORDS = Words("front-door", "front door")
DOCUMENT = discovery(WORDS, button=True)
# All that may be said, but for how late it is on a machine that is busy.
SAID = {
    DOCUMENT, WORDS.motion(True), WORDS.motion(False), WORDS.recording(True), WORDS.recording(False), *map(WORDS.status, Status),
    *(say(alert, age_s) for say in (WORDS.alert, WORDS.event) for alert in Alert for age_s in (0.0, 30.0)),
}
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
UP, DOWN = {CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT}, {CONNACK, PUBACK, SUBACK, PINGRESP}
GREETING_MOST_BYTES = 128  # CONNECT with the last will, SUBSCRIBE to one topic, DISCONNECT
PUBACK_BYTES, ANSWER_MOST_BYTES = 4, 32  # CONNACK and SUBACK
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"WEBP", b"ftyp", b"\x1aE\xdf\xa3", b"age-encryption.org")

# What may be opened for writing, made or renamed, and by whom it is for.
WRITTEN = ("{state}/", "{runtime}/", "/dev/null", "/dev/video", "/dev/media", "/dev/v4l-subdev", "/dev/dma_heap/", "/dev/gpiochip")


@dataclass(frozen=True)
class Session:
    """What was seen of it."""

    folder: Path
    runtime: Path
    port: int
    streams: list[dict[bool, bytes]]  # a connection's bytes: True, to the broker; False, from it
    calls: list[str]
    got: list[Got]


@contextmanager
def captured(path: Path, port: int) -> Iterator[None]:
    """Capture all that goes to or from that port, and miss nothing of it."""
    with subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", str(path)],
                          stderr=subprocess.PIPE, text=True) as dumpcap:
        until(lambda: path.exists() and path.stat().st_size, "dumpcap to capture")
        try:
            yield
        finally:
            with Phone(port, ("none",)) as last:
                last.client.publish("none", "the end of the capture")
                until(lambda: b"the end of the capture" in path.read_bytes(), "the last packet")
            dumpcap.send_signal(signal.SIGINT)
            _, said = dumpcap.communicate(timeout=20)
    assert re.search(r"received/dropped on interface .*: \d+/0 ", said), said


def streams(path: Path, port: int) -> list[dict[bool, bytes]]:
    """Return the bytes of each connection, put together by tshark."""
    rows = subprocess.run(["tshark", "-r", str(path), "-Y", "tcp.len > 0 && !tcp.analysis.retransmission", "-T", "fields", "-e",
                           "tcp.stream", "-e", "tcp.dstport", "-e", "tcp.payload"], capture_output=True, text=True, check=True)
    found: dict[str, dict[bool, bytes]] = {}
    for row in rows.stdout.splitlines():
        number, to, payload = row.split("\t")
        stream = found.setdefault(number, {True: b"", False: b""})
        stream[int(to) == port] += bytes.fromhex(payload.replace(":", ""))
    return list(found.values())


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Take MQTT apart: each packet's kind and the rest of it."""
    at = 0
    while at < len(data):
        kind, (length, begin) = data[at] >> 4, _number(data, at + 1)
        yield kind, data[begin:begin + length]
        at = begin + length


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return MQTT's number of variable length at `at`, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def published(body: bytes) -> tuple[str, str]:
    """Return topic and payload of a PUBLISH at QoS 1, MQTT 5."""
    end = 2 + int.from_bytes(body[:2], "big")
    length, begin = _number(body, end + 2)
    return body[2:end].decode(), body[begin + length:].decode(errors="replace")


def said_amiss(data: bytes) -> set[str]:
    """Return what is wrong with what a door has sent in one connection."""
    wrong, known = set(), {(publish.topic, publish.payload) for publish in SAID}
    for kind, body in packets(data):
        if kind not in UP:
            wrong.add("a packet that it has no use for")
        if kind == PUBLISH:
            topic, payload = published(body)
            if topic != DOCUMENT.topic and len(payload.encode(errors="replace")) > PAYLOAD_MOST_BYTES:
                wrong.add("too long")
            if (topic, payload) not in known:
                wrong.add("no words of ours")
    if plain_video(data) or any(signature in data for signature in SIGNATURES):
        wrong.add("a picture")
    return wrong


def size_bytes(publish: Publish | Got) -> int:
    """How long a PUBLISH at QoS 1 is in MQTT 5, with nothing in it but what it says."""
    body = 2 + len(publish.topic) + 2 + 1 + 5 * (publish.expiry_s is not None) + len(publish.payload.encode())
    return 1 + (1 if body < 128 else 2) + body


def files_amiss(calls: list[str], runtime: Path, state: Path) -> set[str]:
    """Return what was opened for writing, made, renamed or linked, and is not on the list."""
    listed = tuple(each.format(runtime=runtime, state=state) for each in WRITTEN)
    return {path for call in calls for path in _changed(call) if not f"{path}/".startswith(listed)}


def _changed(call: str) -> list[str]:
    if re.match(r"(?:open|openat|openat2|creat)\(", call):
        opened = re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE|^creat", call)
        return re.findall(r" = \d+<([^<>]+)", call) if opened else []
    if re.match(r"(?:mkdir|rename|link|symlink|mknod|truncate)\w*\(", call) and call.endswith(" = 0"):
        return [str(Path(folder) / name) for folder, name in re.findall(r'(?:<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', call)]
    return []


def reached(calls: list[str]) -> set[str]:
    """Return where a socket was connected to, or something sent to, but for Unix sockets. Else it goes where it is connected."""
    found = set()
    for call in calls:
        family = re.match(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=(\w+)", call)
        if family and family[1] != "AF_UNIX":
            to = re.search(r"sin6?_port=htons\((\d+)\).*?\"([0-9a-f.:]+)\"", call)
            found.add(f"{to[2]}:{to[1]}" if to else call)
    return found


def traced(trace: Path, *command: str) -> tuple[str, ...]:
    """Return the command under strace: each thread's calls in a file of its own, so that none is cut in two."""
    calls = ("open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat,"
             "truncate,socket,bind,connect,sendto,sendmsg,sendmmsg")
    return ("strace", "-ff", "-qq", "-yy", "-s", "200", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(trace), *command)


def calls_of(trace: Path) -> list[str]:
    return [" ".join(line.split()) for path in trace.parent.glob(trace.name + ".*") for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A visitor, a recording, another visitor, and the end: under strace, with a capture beside it."""
    folder, capture = tmp_path_factory.mktemp("session"), tmp_path_factory.mktemp("capture") / "packets"
    runtime, trace = Path(tempfile.mkdtemp(prefix="doorstep-test-", dir="/dev/shm")), folder / "trace"
    with Mosquitto(folder) as broker, captured(capture, broker.port), Phone(broker.port) as phone:
        with door(folder, None, broker.port, prefix=traced(trace, "env", f"RUNTIME_DIRECTORY={runtime}")) as home:
            phone.wait("alert", "motion at front door", 60)
            home.finger.press()
            home.grows(1, 200_000)
            home.finger.press()
            home.stated(1)
            phone.wait("alert", "recording at front door", 60)
            until(lambda: phone.said("alert").count("motion at front door") > 1, "another visitor", 60)
        phone.wait("status", "offline", 60)
    yield Session(folder, runtime, broker.port, streams(capture, broker.port), calls_of(trace), phone.got)
    shutil.rmtree(runtime)


def of_the_door(session: Session) -> dict[bool, bytes]:
    (stream,) = [stream for stream in session.streams if b"doorstep-front-door" in next(packets(stream[True]))[1]]
    return stream


def test_every_packet_that_leaves_the_house_is_one_of_its_words(session: Session) -> None:
    """Whoever owns the broker, or listens before it, gets words; and no packet is large enough for more."""
    stream = of_the_door(session)
    assert said_amiss(stream[True]) == set()
    assert {kind for kind, _ in packets(stream[False])} <= DOWN
    told = [published(body) for kind, body in packets(stream[True]) if kind == PUBLISH]
    assert told == [(got.topic, got.payload) for got in session.got]
    assert ("doorstep/front-door/recording", "ON") in told


def test_the_bytes_on_the_wire_are_those_of_the_words_and_no_more(session: Session) -> None:
    """Nothing is hidden beside the words: in a header, a property, or the length of something."""
    stream = of_the_door(session)
    words_bytes = sum(map(size_bytes, session.got))
    rest = len(stream[True]) - words_bytes - 2 * sum(kind == PINGREQ for kind, _ in packets(stream[True]))
    assert 0 < rest <= GREETING_MOST_BYTES
    pings_bytes = 2 * sum(kind == PINGRESP for kind, _ in packets(stream[False]))
    assert len(stream[False]) - pings_bytes - PUBACK_BYTES * len(session.got) <= ANSWER_MOST_BYTES


def test_nothing_goes_anywhere_but_to_the_broker(session: Session) -> None:
    """No update server, no name server, no vendor."""
    assert reached(session.calls) == {f"127.0.0.1:{session.port}"}
    made = {found[1] for call in session.calls if (found := re.match(r"socket\((\w+), .* = \d+<", call))}
    assert made == {"AF_UNIX", "AF_INET"}


def test_every_file_that_any_process_opens_for_writing_is_on_the_list(session: Session) -> None:
    """The recordings, the folder in memory, and devices: nothing else is ever written."""
    assert files_amiss(session.calls, session.runtime, session.folder / "state") == set()
    changed = [path for call in session.calls for path in _changed(call)]
    assert any(path.endswith(".age") for path in changed)
    assert any(path.endswith("outbox.json") for path in changed)


def test_a_picture_among_the_words_is_found(tmp_path: Path) -> None:
    """A judgement that passes everything is worth nothing."""
    picture = b"\xff\xd8\xff\xe0\0\x10JFIF" + os.urandom(300)
    (tmp_path / "picture").write_bytes(picture)
    with Mosquitto(tmp_path) as broker, captured(tmp_path / "packets", broker.port):
        for words in (["-t", "doorstep/front-door/alert", "-f", str(tmp_path / "picture")], ["-t", "doorstep/front-door/alert", "-m", "x"]):
            subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", "-i", "leak", *words], check=True)
    large, small = (stream[True] for stream in streams(tmp_path / "packets", broker.port) if b"leak" in stream[True])
    assert said_amiss(large) == {"too long", "no words of ours", "a picture"}
    assert said_amiss(small) == {"no words of ours"}
    assert len(large) > size_bytes(WORDS.alert(Alert.MOTION, 0.0)) + GREETING_MOST_BYTES
    assert said_amiss(b"\xf0\0") == {"a packet that it has no use for"}


def test_a_file_and_a_way_out_that_are_not_on_the_list_are_found(tmp_path: Path) -> None:
    """Written under a relative name, by a child, made as a folder, or renamed: it is seen."""
    script = """if True:
        import os, socket
        os.chdir(os.environ["WHERE"])
        if not os.fork():
            open("written", "w"); os.mkdir("made"); os.rename("written", "made/renamed"); os.open("made/renamed", os.O_RDWR)
            os.open("made/renamed", os.O_RDONLY)
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.9", 53))
            stream = socket.socket(); stream.connect_ex(("127.0.0.8", 9))
            os._exit(0)
        os.wait()
    """
    subprocess.run(traced(tmp_path / "trace", sys.executable, "-c", script), check=True, env={**os.environ, "WHERE": str(tmp_path)})
    calls = calls_of(tmp_path / "trace")
    assert files_amiss(calls, Path("/nowhere"), Path("/nowhere")) >= {
        str(tmp_path / "written"), str(tmp_path / "made/renamed")}
    assert any(path.endswith("made") for path in files_amiss(calls, Path("/nowhere"), Path("/nowhere")))
    assert files_amiss(calls, tmp_path, tmp_path) <= {"made", "written", "made/renamed"}
    assert reached(calls) == {"127.0.0.9:53", "127.0.0.8:9"}
