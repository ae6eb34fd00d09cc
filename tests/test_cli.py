"""What a person types, and what they get when it is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.usage import COMMANDS, GROUPS
from tests.rig import doorstep, environment
from tests.test_run import write_visits
from tests.test_sources import write_video


def test_replay_prints_one_json_line_an_event_and_one_at_the_end(tmp_path: Path) -> None:
    """A machine reads it: frame numbers as stored, times from the beginning."""
    done = doorstep("replay", write_visits(tmp_path / "visits.mkv"), "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["event"] for row in rows] == ["motion_started", "motion_ended"] * 3 + ["end"]
    for visit, row in enumerate(rows[:-1:2]):
        assert 30 + 70 * visit <= row["frame"] <= 40 + 70 * visit
        assert row["t_s"] == pytest.approx(row["frame"] / 10)
    assert rows[-1]["frames"] == 220
    assert rows[-1]["detector_us_per_frame"] > 0
    assert done.stderr == ""


def test_replay_counts_time_by_the_rate_it_is_given(tmp_path: Path) -> None:
    """Many recordings lie about their rate."""
    done = doorstep("replay", write_visits(tmp_path / "visits.mkv"), "--fps", "5", "--json")
    first = json.loads(done.stdout.splitlines()[0])
    assert first["t_s"] == pytest.approx(first["frame"] / 5)


def test_replay_looks_only_at_the_zone(tmp_path: Path) -> None:
    """The street is not the door."""
    done = doorstep("replay", write_visits(tmp_path / "visits.mkv"), "--zone", "0,0,160,20", "--json")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["end"]


def test_replay_in_words_for_people(tmp_path: Path) -> None:
    """Minutes and seconds, and a sum."""
    done = doorstep("replay", write_visits(tmp_path / "visits.mkv"))
    assert "   0:03." in done.stdout
    assert "3 times motion; 220 frames looked at" in done.stdout


def test_replay_explains_every_second_without_a_picture(tmp_path: Path) -> None:
    """A user can send it with a report, and nobody is in it."""
    from device.replay import WEIGHT
    from device.see.detector import Reason

    video = write_visits(tmp_path / "visits.mkv")
    rows = [json.loads(line) for line in doorstep("replay", video, "--explain", "--json").stdout.splitlines()]
    seconds = [row for row in rows if row["event"] == "second"]
    assert [int(row["t_s"]) for row in seconds] == list(range(22))
    assert set(seconds[0]) == {"event", "t_s", "reason", "evidence", "changed_share", "noise_levels"}
    assert seconds[0]["reason"] == "warming_up"
    assert seconds[2]["reason"] == "quiet"
    assert seconds[4]["reason"] == "body"
    assert set(WEIGHT) == set(Reason)
    words = doorstep("replay", video, "--explain").stdout
    assert words.count(", noise ") == 22
    assert "a body moves" in words


def test_replay_takes_mask_and_sensitivity_from_a_configuration_if_named(tmp_path: Path) -> None:
    """What would have been told with my settings."""
    (tmp_path / "doorstep.toml").write_text(f"[camera]\nmask = {['#' * 16] * 11 + ['.' * 16]}")
    done = doorstep("replay", write_visits(tmp_path / "v.mkv"), "--config", tmp_path / "doorstep.toml", "--json")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["end"]


def test_replay_of_a_broken_file_says_what_it_found_and_then_that_it_is_broken(tmp_path: Path) -> None:
    """Nothing found is lost, nothing missing is hidden."""
    whole = write_video(tmp_path / "a.mkv", 200)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = doorstep("replay", whole, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "end"
    assert done.stderr.startswith("doorstep: error: ")


BAD = {
    "a recording that is not there": (["replay", "none.mp4"], "none.mp4"),
    "a zone outside the picture": (["replay", "v.mkv", "--zone", "0,0,161,10"], "outside the picture"),
    "a zone that is none": (["replay", "v.mkv", "--zone", "a"], "no rectangle"),
    "a configuration that is not there": (["run", "--config", "none.toml"], "none.toml"),
    "a place of 200 characters": (["config", "check", "long.toml"], "60 bytes"),
    "a missing CA file": (["config", "check", "ca.toml"], "ca_file"),
    "a password that all can read": (["config", "check", "password.toml"], "chmod 600"),
    "a recipient with a letter wrong": (["config", "check", "recipient.toml"], "doorstep key new"),
    "no broker to tell": (["tell", "--config", "empty.toml"], "[broker]"),
    "no socket to hear on": (["tell", "--config", "local.toml"], "systemd-socket-activate"),
    "no camera": (["see", "--config", "camera.toml", "--socket", "s"], "/dev/none"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_a_hint_and_exit_2(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened, then what to do; never a traceback, and nothing left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    write_video(tmp_path / "v.mkv", 3)
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o644)
    for name, toml in {
        "long": f'place = "{"x" * 200}"', "empty": "", "ca": '[broker]\nhost = "x"\nca_file = "none.crt"',
        "password": '[broker]\nhost = "x"\nuser = "d"\npassword_file = "password"',
        "recipient": '[recording]\nrecipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q"]',
        "local": '[broker]\nhost = "127.0.0.1"\ntls = false',
        "camera": '[camera]\nsource = "v4l2"\ndevice = "/dev/none"',
    }.items():
        (tmp_path / f"{name}.toml").write_text(toml)
    before = set(tmp_path.iterdir())
    arguments, says = BAD[case]
    done = doorstep(*arguments)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert error.startswith("doorstep: error: ")
    assert hint.startswith("doorstep: hint: ")
    assert says in done.stderr
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("arguments", [["dance"], ["replay"], ["replay", "x", "--fps", "0"], ["config"], ["run", "--nix"], []])
def test_wrong_usage_is_exit_2_with_the_usage(arguments: list[str]) -> None:
    """Whoever mistypes learns the right word."""
    done = doorstep(*arguments)
    assert done.returncode == 2
    assert "usage: doorstep" in done.stderr + done.stdout


def test_the_example_can_be_checked(tmp_path: Path) -> None:
    """The first two commands of every owner."""
    path = tmp_path / "doorstep.toml"
    path.write_text(doorstep("config", "example").stdout)
    done = doorstep("config", "check", path)
    assert done.returncode == 0
    assert '"motion at front door"' in done.stdout


@pytest.mark.parametrize("command", ["", *GROUPS, *COMMANDS])
def test_every_command_explains_itself(command: str) -> None:
    """--help answers what, with which words, and for example how."""
    done = doorstep(*command.split(), "--help", COLUMNS="80")
    assert done.returncode == 0
    assert "usage: doorstep" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    if command not in GROUPS:
        assert "example" in done.stdout


def test_colour_is_for_terminals_only(tmp_path: Path) -> None:
    """A log is not a screen."""
    import pty

    command = [sys.executable, "-m", "device", "config", "check", str(tmp_path / "none.toml")]
    assert "\033[" not in subprocess.run(command, capture_output=True, text=True, env=environment(), check=False).stderr
    main, side = pty.openpty()
    subprocess.run(command, stderr=side, env=environment(), check=False)
    os.close(side)
    assert b"\033[31m" in os.read(main, 4096)
    os.close(main)


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """`doorstep config example | head -1` is an honest use."""
    command = f"{sys.executable} -m device config example | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout.startswith("# doorstep.toml")
    assert done.stderr == ""


def test_a_bug_is_one_line_too_and_a_traceback_for_those_who_ask(tmp_path: Path) -> None:
    """The one place that catches everything must not hide what helps to mend it."""
    script = "import device.config as c, sys; c.example = lambda: 1 / 0; from device.cli import main; sys.exit(main(['config', 'example']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("doorstep: error: unexpected ZeroDivisionError")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                          env=environment(DOORSTEP_TRACEBACK="1"))
    assert "Traceback" in done.stderr
