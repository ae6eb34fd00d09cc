"""One command makes a broker: what it writes, what it never overwrites, and certificates that others verify."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker import book as books
from broker import certificates, running
from broker.check import check
from broker.configuration import mosquitto_conf
from broker.files import Folder
from device.cli import main
from device.errors import ConfigError, DoorstepError
from tests.broker_rig import House, Subscriber, as_phone
from tests.rig import Mosquitto, Teller, free_port, until

NOW = dt.datetime.now(dt.UTC)
LAN = ("broker.lan", "192.168.1.5")


@pytest.fixture
def house(tmp_path: Path, runtime_folder: Path) -> Iterator[House]:
    house = House(tmp_path, runtime_folder / "broker")
    yield house
    house.stop()


def contents(root: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mode) for path in root.rglob("*") if path.is_file()}


def test_setup_done_twice_changes_nothing(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is unsure whether it was done does it again."""
    house.setup("--home-assistant")
    house.do("device", "add", "front-door")
    house.do("phone", "add", "anna")
    before = contents(house.root)
    capsys.readouterr()
    house.setup("--home-assistant")
    assert contents(house.root) == before
    assert "is as it should be" in capsys.readouterr().out


def test_a_dry_run_writes_nothing_and_says_what_it_would(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """One may look before one leaps."""
    house.setup("--dry-run")
    said = capsys.readouterr().out
    assert not house.root.exists()
    assert not house.memory.exists()
    for name in ("ca.key", "server.key", "server.crt", "passwords", "acl", "mosquitto.conf"):
        assert f"would write  {house.root / name}" in said
    assert "BEGIN" not in said
    house.setup()
    before = contents(house.root)
    house.setup("--dry-run", "--port", "1234")
    assert contents(house.root) == before


def test_other_hosts_get_a_new_certificate_and_every_key_stays(house: House) -> None:
    """The broker moved to another address; no phone shall notice."""
    house.setup()
    before = contents(house.root)
    assert main(["broker", "setup", "--dir", str(house.root), "--host", "broker.lan", "--host", "10.0.0.7"]) == 0
    after = contents(house.root)
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {"server.crt", books.NAME}
    assert certificates.hosts_of(x509.load_pem_x509_certificate(after[house.root / "server.crt"][0])) == {"broker.lan", "10.0.0.7"}


def test_renew_replaces_the_certificate_and_nothing_else(house: House) -> None:
    """Phones trust the authority; they must not be touched."""
    house.setup()
    before = contents(house.root)
    house.do("renew")
    after = contents(house.root)
    assert {path.name for path in before if before[path] != after[path]} == {"server.crt"}


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """A new authority would cut off every phone."""
    with Folder(tmp_path) as folder:
        folder.put_key("ca.key", b"one")
        with pytest.raises(DoorstepError, match="is there already"):
            folder.put_key("ca.key", b"two")
        assert (tmp_path / "ca.key").read_bytes() == b"one"


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt"])
def test_half_an_authority_is_refused_and_not_replaced(house: House, lost: str) -> None:
    """Making a new one in silence would cut off every phone."""
    house.setup()
    (house.root / lost).unlink()
    before = contents(house.root)
    assert house.setup() == 2
    assert contents(house.root) == before


def test_no_secret_is_readable_by_others_and_mosquitto_reads_what_it_must(house: House) -> None:
    """Everybody with an account on the machine would be a phone."""
    house.setup("--home-assistant")
    house.do("device", "add", "front-door")
    house.do("phone", "add", "anna")
    for path in house.root.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o644 if path == house.root / "ca.crt" else 0o600), path
    assert stat.S_IMODE(house.root.stat().st_mode) & 0o067 == 0
    assert stat.S_IMODE(house.memory.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_mosquitto_its_files_and_no_others(tmp_path: Path, runtime_folder: Path) -> None:
    """Mosquitto gives up root before it reads them, and must not be able to make certificates."""
    root = tmp_path / "broker"
    assert main(["broker", "setup", "--dir", str(root), "--host", "broker.lan", "--memory", str(runtime_folder / "b")]) == 0
    theirs = pwd.getpwnam("mosquitto").pw_uid
    owned = {path.name for path in root.rglob("*") if path.stat().st_uid == theirs}
    assert owned == {"server.key", "server.crt", "passwords", "acl", "mosquitto.conf"}
    assert (runtime_folder / "b").stat().st_uid == theirs
    assert root.stat().st_gid == pwd.getpwnam("mosquitto").pw_gid


def test_home_assistant_can_be_forgotten(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Its password was lost, or it moved out."""
    house.setup("--home-assistant")
    assert "home-assistant:" in (house.root / "passwords").read_text()
    house.setup("--no-home-assistant")
    assert not (house.root / "home-assistant").exists()
    for name in ("passwords", "acl"):
        assert "home-assistant\n" not in (house.root / name).read_text()
        assert "home-assistant:" not in (house.root / name).read_text()


def test_a_password_file_that_was_lost_is_said(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """No password can be made again; whoever it was must be added anew."""
    house.setup()
    house.do("device", "add", "front-door")
    (house.root / "passwords").unlink()
    house.setup()
    assert "without a password: doorstep-front-door" in capsys.readouterr().out


def test_memory_on_a_disk_is_refused(house: House, tmp_path: Path) -> None:
    """What waits for phones would be a record on the SD card."""
    house.memory = Path("/var/lib/doorstep-broker")
    assert house.setup() == 2
    assert not (house.root / "mosquitto.conf").exists()


def test_two_commands_at_once_do_not_undo_each_other(house: House) -> None:
    """Two phones paired in the same second are both paired, or one is told to wait."""
    house.setup()
    with Folder(house.root):
        house.do("device", "add", "front-door", status=2)
    house.do("device", "add", "front-door")


def test_every_decision_in_the_configuration_has_its_reason(house: House) -> None:
    """Whoever reads it shall not have to guess."""
    house.setup("--loopback-port", "1884")
    text = (house.root / "mosquitto.conf").read_text()
    assert text == mosquitto_conf(books.load(house.root), house.root)
    blocks = [block for block in text.split("\n\n")[1:] if not block.startswith("listener")]
    assert all(block.startswith("# ") for block in blocks)
    first = text.index("\nlistener ")
    assert "use_username_as_clientid" not in text[:first]  # above it, it would open port 1883 to all
    assert "max_connections" not in text[:first]


def test_without_a_listener_asked_for_there_is_no_port_without_tls(house: House) -> None:
    """Plaintext is for this machine, and only if asked."""
    house.setup()
    house.start()
    listening = lambda: {line.split()[3].rpartition(":")[2] for line in  # noqa: E731
                         subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
                         if f"pid={house.pid}," in line}
    assert listening() == {str(house.port)}
    house.stop()
    house.setup("--loopback-port", "0")
    assert "listener" in (house.root / "mosquitto.conf").read_text()


# ---- certificates that others verify


def s_client(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{house.port}", "-verify_return_error", *words],
                          capture_output=True, text=True, input="", check=False, timeout=30)


def test_openssl_and_curl_accept_the_certificate_and_its_names(house: House) -> None:
    """If they do, phones do: SAN with names and addresses, serverAuth, P-256, not too long."""
    house.setup()
    house.start()
    ca = str(house.root / "ca.crt")
    for names in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
        done = s_client(house, "-CAfile", ca, "-purpose", "sslserver", "-x509_strict", *names)
        assert (done.returncode, "Verify return code: 0 (ok)" in done.stdout) == (0, True), done
    assert s_client(house, "-CAfile", ca, "-verify_hostname", "other.lan").returncode != 0
    assert s_client(house, "-verify_hostname", "localhost").returncode != 0
    curl = ["curl", "-sS", "--max-time", "5", f"https://localhost:{house.port}/"]
    answers = {subprocess.run([*curl, *words], capture_output=True, check=False).returncode: words for words in
               (["--cacert", ca], [])}
    assert 60 in answers  # CURLE_PEER_FAILED_VERIFICATION, without the authority
    assert answers.keys() & {52, 56, 28}  # verified, and then MQTT is no HTTP


def test_the_certificate_is_as_phones_demand() -> None:
    """Apple's list, and no more power than is needed."""
    ca_key, key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, LAN, NOW)
    server = certificates.server(LAN, key, ca, ca_key, NOW)
    assert (server.not_valid_after_utc - server.not_valid_before_utc).days <= 825
    assert server.not_valid_before_utc < NOW
    assert isinstance(server.signature_hash_algorithm, hashes.SHA256)
    assert x509.oid.ExtendedKeyUsageOID.SERVER_AUTH in server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert certificates.hosts_of(server) == set(LAN)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.path_length == 0


def test_whoever_steals_the_authoritys_key_cannot_play_bank(tmp_path: Path) -> None:
    """The owner's phone trusts it; without bounds every site would be forgeable to that phone."""
    ca_key, key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, LAN, NOW)
    (tmp_path / "ca.crt").write_bytes(certificates.pem(ca))
    with pytest.raises(ConfigError, match=r"not made for bank\.example"):
        certificates.server(("bank.example",), key, ca, ca_key, NOW)
    for host, good in (("bank.example", False), ("broker.lan", True), ("93.184.216.34", False), ("192.168.7.7", True)):
        (tmp_path / "x.crt").write_bytes(certificates.pem(forged(host, ca, ca_key)))
        done = subprocess.run(["openssl", "verify", "-CAfile", str(tmp_path / "ca.crt"), str(tmp_path / "x.crt")],
                              capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is good, (host, done)
        assert good or "permitted subtree violation" in done.stderr


def forged(host: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """What a thief of the key would sign."""
    plain = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a thief")])
    name = x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    return x509.CertificateBuilder(ca.subject, plain, certificates.new_key().public_key(), 1, NOW, NOW + dt.timedelta(days=9)
                                   ).add_extension(x509.SubjectAlternativeName([name]), critical=False).sign(ca_key, hashes.SHA256())


def test_a_broker_that_has_only_an_address_is_verified(tmp_path: Path) -> None:
    """Many houses have no names."""
    ca_key, key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, ("192.168.1.5",), NOW)
    (tmp_path / "ca.crt").write_bytes(certificates.pem(ca))
    (tmp_path / "x.crt").write_bytes(certificates.pem(certificates.server(("192.168.1.5",), key, ca, ca_key, NOW)))
    subprocess.run(["openssl", "verify", "-CAfile", str(tmp_path / "ca.crt"), "-verify_ip", "192.168.1.5", "-x509_strict",
                    str(tmp_path / "x.crt")], check=True, timeout=30)


@pytest.mark.parametrize(("case", "says"), [
    ("expired", "certificate has expired"), ("another host", "mismatch"), ("self-signed", "self-signed certificate"),
    ("another authority", "unable to get local issuer certificate"),
])
def test_inv_tls_or_nothing_a_broker_with_a_wrong_certificate_is_refused_in_words(tmp_path: Path, case: str, says: str) -> None:
    """Whoever answers at the broker's address could be anybody, and the owner must learn what is wrong."""
    ca_key, key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, ("localhost",), NOW)
    made = {
        "expired": lambda: certificates.server(("localhost",), key, ca, ca_key, NOW - dt.timedelta(days=900)),
        "another host": lambda: certificates.server(("other.lan",), key, ca, ca_key, NOW),
        "self-signed": lambda: certificates.authority(key, ("localhost",), NOW),
        "another authority": lambda: certificates.server(("localhost",), key, *another(), NOW),
    }[case]()
    for name, content in (("ca.crt", certificates.pem(ca)), ("server.crt", certificates.pem(made)),
                          ("server.key", certificates.key_pem(key))):
        (tmp_path / name).write_bytes(content)
    with Mosquitto(tmp_path, f"certfile {tmp_path}/server.crt", f"keyfile {tmp_path}/server.key") as broker:
        toml = f'[broker]\nhost = "localhost"\nport = {broker.port}\nca_file = "ca.crt"\n'
        with Teller(tmp_path, toml) as teller:
            teller.says("is not who it should be")
            teller.says(says)
            teller.says("check ca_file and host")
            assert "connected to" not in teller.log.read_text()


def another() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = certificates.new_key()
    return certificates.authority(key, ("localhost",), NOW), key


# ---- how Mosquitto learns of a change


def test_a_renewed_certificate_is_served_at_once_and_nobody_is_cut_off(house: House, tmp_path: Path) -> None:
    """The timer does it while everybody sleeps."""
    house.setup()
    house.do("device", "add", "front-door")
    house.do("phone", "add", "anna")
    house.start()

    def serial() -> int:
        pem = ssl.get_server_certificate(("127.0.0.1", house.port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number

    before = serial()
    with Subscriber([*as_phone(house), "-t", "doorstep/front-door/alert"], tmp_path / "anna") as anna:
        house.do("renew")
        until(lambda: serial() != before, "the new certificate")
        house.say("alert", "motion at front door")
        until(lambda: anna.got, lambda: anna.said)
        assert anna.said.count("CONNACK") == 1


def test_a_change_costs_a_sleeping_phone_no_alert_where_mosquitto_is_a_service(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto 2.0.11 after a reload keeps nothing new for a phone that has slept since a restart: so it is restarted."""
    house.setup()
    house.do("device", "add", "front-door")
    house.do("phone", "add", "anna")
    house.start()
    restarted: list[str] = []

    def restart(unit: str) -> None:
        restarted.append(unit)
        house.stop()
        house.start()

    monkeypatch.setattr(running, "_unit", lambda _groups: "mosquitto.service")
    monkeypatch.setattr(running, "_restart", restart)
    words = [*as_phone(house), "-t", "doorstep/front-door/alert"]
    with Subscriber(words, tmp_path / "anna"):
        pass
    house.say("alert", "one")
    house.stop()
    house.start()
    house.do("phone", "add", "bob")
    house.say("alert", "two")
    with Subscriber(words, tmp_path / "anna") as anna:
        until(lambda: len(anna.got) == 2, lambda: anna.said)
    assert restarted == ["mosquitto.service"] if os.geteuid() == 0 else restarted == []


def test_the_service_is_known_by_what_the_kernel_says_of_the_process() -> None:
    """A wrong guess would restart somebody else's service."""
    assert running._unit("0::/system.slice/mosquitto.service\n") == "mosquitto.service"
    assert running._unit("0::/system.slice/doorstep-mosquitto.service\n") == "doorstep-mosquitto.service"
    for other in ("0::/user.slice/user-1000.slice/session-1.scope\n", "0::/system.slice/ssh.service\n",
                  "0::/system.slice/mosquitto.service/evil\n", "", "0::/\n"):
        assert running._unit(other) is None


def test_only_a_mosquitto_that_runs_with_our_configuration_is_told(house: House, tmp_path: Path) -> None:
    """A second broker on the machine is none of our business."""
    house.setup()
    with Mosquitto(tmp_path):
        assert running.find(house.root / "mosquitto.conf") == []
        house.start()
        assert running.find(house.root / "mosquitto.conf") == [house.pid]
    house.stop(signal.SIGKILL)
    assert "no Mosquitto runs" in running.tell(house.root / "mosquitto.conf")


def test_a_service_that_does_not_restart_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone that was to be cut off is still in."""
    fake = tmp_path / "systemctl"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DoorstepError, match="did not restart"):
        running._restart("mosquitto.service")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("starts_as", ["root", "mosquitto"])
def test_mosquittos_own_user_can_run_it(starts_as: str) -> None:
    """By hand root starts it and it gives root up; as a service it never was root. Both must find what they need."""
    folder = Path(tempfile.mkdtemp(prefix="doorstep-test-", dir="/dev/shm"))
    folder.chmod(0o711)  # pytest's folders are root's alone
    port, program = free_port(), shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    assert program
    try:
        assert main(["broker", "setup", "--dir", str(folder / "b"), "--host", "localhost", "--bind", "127.0.0.1", "--port", str(port),
                     "--memory", str(folder / "memory")]) == 0
        who = ["setpriv", "--reuid=mosquitto", "--regid=mosquitto", "--clear-groups"] if starts_as == "mosquitto" else []
        with subprocess.Popen([*who, program, "-c", str(folder / "b" / "mosquitto.conf")], stderr=subprocess.PIPE) as process:
            try:
                until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"mosquitto.conf\0") and answers(port),
                      "mosquitto to listen")
                found = check(folder / "b", books.load(folder / "b"), NOW)
                assert [finding for finding in found if not finding.good and finding.what != "swap"] == []
                uids = Path(f"/proc/{process.pid}/status").read_text().partition("Uid:")[2].split()[:4]
                assert uids == [str(pwd.getpwnam("mosquitto").pw_uid)] * 4
            finally:
                process.terminate()
        assert (folder / "memory" / "mosquitto.db").stat().st_uid == pwd.getpwnam("mosquitto").pw_uid
    finally:
        shutil.rmtree(folder)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
