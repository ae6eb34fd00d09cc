"""What the documents have an owner type in a folder of his own: each line run as it stands, in the shell of somebody who copies it.

Rule 1: a line is run by what it begins with, so that a new one is run without a word here.
Rule 2: what a reader fills in is filled in, by a table.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.keep.statement import fingerprint
from tests.clips import Clips, video
from tests.documents import COPIED, NAMED, ROOT, names_only, plain
from tests.own_machine import programs
from tests.rig import environment
from tests.test_run import write_visits
from tests.window import Window

# What needs no root, no camera, no broker of the house and no minute of anybody's time.
OWNERS = re.compile(r"doorstep (config|key|clips|replay|setup --)|age |chmod|man |make$|make (man|drawings)$|\.venv/bin/python ")
RUN = {"make", *(plain(line) for lines in COPIED.values() for line in lines if OWNERS.match(plain(line))),
       *(plain(line) for lines in NAMED.values() for line in lines if OWNERS.match(plain(line)) and not names_only(plain(line)))}
# What stands for something of the reader's; a player that needs a screen is FFmpeg's here, which reads all the same.
FILLED = {"SHA256:Zmh6rfhivXdsj8GLjp+OIAiX...": "{whose}", " CLIP": " clips/clip-000007.ts.age", "mpv -": "ffmpeg -v error -i - -f null -",
          "--data DIR": "--data recordings --scene none --hours 0"}
# What it writes, in the place of what was there before.
WRITES = {"make man": "deploy/doorstep.1", "make drawings": "deploy/wiring.svg deploy/walk.svg", "doorstep config example > doorstep.toml": "doorstep.toml",
          "doorstep setup --example > answers.toml": "answers.toml"}
PASSPHRASE = "three words of mine"

CAMERA = [("Try the camera", "\n"), ("frames/s of 10", ""), ("Try the button", "\n"), ("Press the button now", "r"),
          ("Was the light on until then", "y\n"), ("Button and light work.", "")]
SETUP = [("> ", "\n"), ("Its name in MQTT topics", "\n"), ("Write this to doorstep.toml?", "\n"), ("Try the camera", "n\n"),
         ("Try the button", "n\n"), ("age1", "\n"), ("broker", "none\n"), ("What is left to do", "")]
# What is typed in a terminal: words that are waited for, and the keys that are pressed then.
TERMINAL: dict[str, list[tuple[str, str]]] = {
    "doorstep setup": SETUP,
    "doorstep setup camera button": CAMERA,
    "doorstep walk": [("frames/s", "q")],
    "doorstep walk --source porch": [("frames/s", "q")],
    "doorstep walk visit.mp4": [("file: visit.mp4", ""), ("frames/s", "q")],
}


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the documents assume to be there by then."""
    folder = tmp_path_factory.mktemp("owner")
    clips = Clips(folder / "clips")
    clips.record(6)
    clips.record(7, video())
    (folder / "config" / "doorstep").mkdir(parents=True)
    key = clips.identity().rename(folder / "config" / "doorstep" / "identity.txt").read_text()
    (folder / "key.txt").write_text(key)
    subprocess.run(in_a_terminal("age -p -o key.age key.txt"), cwd=folder, input=f"{PASSPHRASE}\n" * 2, text=True, check=True, capture_output=True)
    public = clips.device.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    (folder / "whose").write_text(fingerprint(public))
    write_visits(folder / "walk.mp4")
    (folder / "frames").mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", folder / "walk.mp4", "-vf", "scale=320:240", "-frames:v", "50", folder / "frames" / "%03d.png"], check=True)
    subprocess.run([sys.executable, "-m", "tests.bench.weather", folder / "recordings", "--scene", "day", "--seconds", "8"], cwd=ROOT, check=True,
                   capture_output=True)
    for name in ("answers.toml", "password", "doorstep.toml"):
        (folder / name).write_text({"answers.toml": "camera = false\nbroker = 'none'\n"}.get(name, "# mine\n"))
    programs(folder)
    # A checkout, and its environment as `make test` has made it.
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        (folder / ".venv" / path.name).symlink_to(path)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for name in ("device", "broker", "Makefile", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / ".made").unlink(missing_ok=True)
    (folder / ".venv" / ".test").unlink(missing_ok=True)
    for name in (".made", ".test"):
        (folder / ".venv" / name).touch()
    manual = folder / "share" / "man" / "man1"
    manual.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "doorstep.1", manual)
    return folder


def in_a_terminal(line: str) -> list[str]:
    """age asks for a passphrase in a terminal alone."""
    return ["script", "-qec", line, "/dev/null"]


def filled(line: str, owners: Path) -> str:
    for words, own in FILLED.items():
        line = line.replace(words, own.format(whose=(owners / "whose").read_text()))
    return line


@pytest.mark.parametrize("line", sorted(RUN))
def test_every_line_of_an_owner_runs(line: str, owners: Path, tmp_path: Path) -> None:
    """Whoever copies it must not be the first to try it."""
    if line.startswith("man ") and not shutil.which("man"):
        pytest.skip("man is missing; try: sudo apt install man-db")
    if "tests.bench" in line:
        pytest.importorskip("cv2", reason="OpenCV is the bench extra's")
    here = tmp_path / "here"
    shutil.copytree(owners, here, symlinks=True, copy_function=os.link)
    home = tmp_path / "new" if line.startswith("doorstep key") else owners / "config"
    for name in WRITES.get(line, "").split():
        (here / name).unlink()
    shell = in_a_terminal(line) if line.startswith("age ") else ["sh", "-euc", filled(line, owners)]
    done = subprocess.run(shell, cwd=here, input=f"{PASSPHRASE}\n", capture_output=True, text=True, check=False, timeout=60,
                          env=environment(PATH=f"{here}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}", MANPAGER="cat",
                                          MANPATH=f"{here}/share/man", PYTHONPATH=str(ROOT), XDG_CONFIG_HOME=str(home),
                                          PYTHONWARNINGS="default"))
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    for name in WRITES.get(line, "").split():
        assert (here / name).stat().st_size > 0


@pytest.mark.parametrize("line", TERMINAL)
def test_every_line_that_needs_somebody_at_it_runs_in_a_terminal(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its folder lies a doorstep.toml, whose camera is the drawn porch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "doorstep.toml").write_text("[camera]\nsource = 'porch'\n[recording]\npanel = 'terminal'\n")
    write_visits(tmp_path / "visit.mp4")
    with Window(*line.split()[1:]) as window:
        for words, keys in TERMINAL[line]:
            window.wait(words)
            if keys:
                window.shown = b""
                os.write(window.main, keys.encode())
        assert window.end() == 0

