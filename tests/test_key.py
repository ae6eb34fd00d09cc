"""`doorstep key new`: the key is made where it belongs, is what age itself makes, and is shown only when asked for."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import segno

from device.cli import main
from device.keep import owner_key
from tests.clips import Clips, in_terminal, video
from tests.rig import doorstep, environment

SECRET = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")


def test_a_key_is_what_age_keygen_makes(tmp_path: Path) -> None:
    """Any age program can use it, and the words say where everything goes."""
    path = tmp_path / "new" / "key.txt"
    done = doorstep("key", "new", "--here", path)
    assert done.returncode == 0, done.stderr
    public = subprocess.run(["age-keygen", "-y", path], capture_output=True, text=True, check=True).stdout.strip()
    created, said, secret = path.read_text().splitlines()
    assert re.fullmatch(r"# created: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert said == f"# public key: {public}"
    assert SECRET.fullmatch(secret)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert f'\n  recipients = ["{public}"]\n' in done.stdout
    assert str(path) in done.stdout
    assert secret not in done.stdout + done.stderr
    assert max(map(len, done.stdout.replace(str(path), "").splitlines())) <= 82  # a recipient's line cannot be broken


def test_a_key_named_minus_is_shown_and_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer shows it so, once, on the very device whose clips it opens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    done = doorstep("key", "new", "--here", "-", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    public = subprocess.run(["age-keygen", "-y"], input=done.stdout, capture_output=True, text=True, check=True).stdout.strip()
    assert f"# public key: {public}\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert doorstep("key", "new", "--here", "-", "--print", "key.svg").returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_its_place_is_the_owners_configuration_folder(tmp_path: Path) -> None:
    """Where `clips open` looks for it."""
    assert doorstep("key", "new", "--here", XDG_CONFIG_HOME=str(tmp_path / "config")).returncode == 0
    assert (tmp_path / "config" / "doorstep" / "identity.txt").exists()
    assert doorstep("key", "new", "--here", XDG_CONFIG_HOME="not/absolute", HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / ".config" / "doorstep" / "identity.txt").exists()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """With it all clips would be lost."""
    path, paper = tmp_path / "key.txt", tmp_path / "key.svg"
    path.write_text("the only one")
    for arguments in ([path], [tmp_path / "other.txt", "--print", path]):
        done = doorstep("key", "new", "--here", *arguments)
        assert done.returncode == 2
        assert "never overwritten" in done.stderr
    assert path.read_text() == "the only one"
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert doorstep("key", "new", "--here", path, "--print", paper).returncode == 2
    assert list(tmp_path.iterdir()) == [path]
    assert doorstep("key", "new", "--here", Path("/dev/null/key")).returncode == 2


@pytest.mark.parametrize("mark", ["etc/doorstep/doorstep.toml", "var/lib/doorstep", "proc/device-tree/model"])
def test_no_key_is_made_on_the_device_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the clips it would open them for a thief."""
    monkeypatch.setattr(owner_key, "DEVICE_MARKS", [tmp_path / "none", tmp_path / mark])
    (tmp_path / mark).parent.mkdir(parents=True)
    (tmp_path / mark).write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert main(["key", "new", str(tmp_path / "key.txt")]) == 2
    assert "--here" in capsys.readouterr().err
    assert not (tmp_path / "key.txt").exists()
    assert main(["key", "new", str(tmp_path / "key.txt"), "--here"]) == 0


def test_another_board_than_a_raspberry_pi_is_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some laptops have a device tree too."""
    (tmp_path / "model").write_bytes(b"Apple MacBook Air (M1, 2020)\0")
    monkeypatch.setattr(owner_key, "DEVICE_MARKS", [tmp_path / "model"])
    assert main(["key", "new", str(tmp_path / "key.txt")]) == 0


def test_the_secret_key_as_a_qr_code_is_shown_after_a_warning(tmp_path: Path) -> None:
    """To a phone; and to nothing that keeps what it is shown."""
    status, shown = in_terminal("key", "new", "--here", tmp_path / "key.txt", "--qr")
    assert status == 0
    secret = (tmp_path / "key.txt").read_text().splitlines()[-1]
    warning, code = shown.index("can open your clips.\n"), shown.index("█")
    assert warning < code
    blocks = [line for line in shown.splitlines() if set(line) and set(line) <= set("█▀▄ ")]
    light = [[cell in "█" + half for cell in line] for line in blocks for half in "▀▄"]
    matrix = segno.make(secret, micro=False).matrix
    assert [[not cell for cell in row[4:-4]] for row in light[4:4 + len(matrix)]] == [list(map(bool, row)) for row in matrix]
    assert max(map(len, blocks)) <= 80
    piped = doorstep("key", "new", "--here", tmp_path / "other.txt", "--qr")
    assert piped.returncode == 2
    assert "--print" in piped.stderr
    assert not (tmp_path / "other.txt").exists()


def test_the_page_holds_both_keys_as_codes_and_in_letters(tmp_path: Path) -> None:
    """Paper outlives disks; and what is on it is enough."""
    paper = tmp_path / "key.svg"
    assert doorstep("key", "new", "--here", tmp_path / "key.txt", "--print", paper).returncode == 0
    assert stat.S_IMODE(paper.stat().st_mode) == 0o600
    _, public, secret = (line.split()[-1] for line in (tmp_path / "key.txt").read_text().splitlines())
    page = ET.fromstring(paper.read_text())
    svg = "{http://www.w3.org/2000/svg}"
    words = [text.text or "" for text in page.iter(f"{svg}text")]
    assert max(map(len, words)) * 2.2 <= 180 - 10  # millimetres a letter, on a page with margins
    assert secret in words
    assert public in words
    for code, text in zip(page.iter(f"{svg}path"), (secret, public), strict=True):
        matrix = segno.make(text, micro=False).matrix
        dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", code.attrib["d"])}
        assert dark == {(x, y) for y, row in enumerate(matrix) for x, cell in enumerate(row) if cell}


BASE_ONLY = """
import sys
BLOCKED = {'numpy', 'paho', 'gpiozero', 'lgpio', 'picamera2', 'libcamera', 'tomlkit', 'amqtt', 'fcntl', 'termios', 'pwd', 'grp',
           'resource', 'device.run', 'device.see', 'device.tell', 'device.stopping', 'device.config', 'broker.commands', 'broker.embedded'}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
from device.cli import main
sys.exit(main(sys.argv[1:]))
"""


def base_only(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", BASE_ONLY, *map(str, arguments)], capture_output=True, check=False,
                          env=environment())


def test_any_computer_will_do(tmp_path: Path) -> None:
    """The owner's commands need nothing of the device's packages, and nothing that only Unix has."""
    clips = Clips(tmp_path / "clips")
    clips.record(1, video())
    for command in (["key", "new", "--here", tmp_path / "key.txt", "--print", tmp_path / "key.svg"], ["clips", "list", clips.folder],
                    ["clips", "verify", clips.folder], ["--help"],
                    ["clips", "open", "1", clips.folder, "--identity", clips.identity(), "-o", tmp_path / "visit.mp4"]):
        done = base_only(*command)
        assert done.returncode == 0, done.stderr
    assert base_only("config", "example").returncode == 1  # the blocker blocks
