"""The detectors that are programs and look at video files: DVR-Scan and Motion.

Rule 1: a program that is not there is said to be missing; nothing fails for it.
Rule 2: its files are lossless and hold the frames that all the others get, in twice their width.
Rule 3: only what the program prints counts, converted to stored frame numbers.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import ROOT
from tests.bench.detector_score import Span

DVR_SCAN_FOLDER = ROOT / ".venv-peers" / "bin"  # `make bench-detector` puts it there: its OpenCV is not ours
THREADS = {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}  # one thread each, as the others have
AT_ONCE = 20  # of Motion's cameras: at 640 x 480 and 10 a second each takes 0.03 of a core
KEPT_SHARE = 0.9  # of a file's frame rate; below, Motion may skip every tenth frame
TRIES = 3  # of a batch that a busy machine has starved; the best counts, and its share is said
START_S = 60.0  # more than its file's length without its end: then it hangs

# What Debian 12's motion.conf has for what detects; of the rest only what writes files or opens ports is changed.
WIDTH_PX, HEIGHT_PX, THRESHOLD_PX = 640, 480, 1500
SETTINGS = """daemon off
log_level 7
picture_output off
movie_output off
webcontrol_port 0
stream_port 0
despeckle_filter EedDl
minimum_motion_frames 1
event_gap 2
"""
SAID = re.compile(r"\[\d+:\w+:c(\d+)\].*?(Camera \(.*\) connected|End of file|Motion detected|End of event)")


@dataclass(frozen=True, slots=True)
class Video:
    """A file that was written, and which stored frames are in it."""

    path: Path
    width_px: int
    height_px: int
    frames_per_s: float
    numbers: Sequence[int]
    end: int  # the number after the last stored frame
    zone: tuple[int, int, int, int] | None = None  # x, y, width, height in pixels of the file; black outside

    def stored(self, position: float) -> int:
        """The stored number of a position in the file, the end of the file being the end."""
        index = int(position)
        return self.numbers[max(index, 0)] if index < len(self.numbers) else self.end


@dataclass(frozen=True, slots=True)
class Played:
    """What Motion made of a file, and how much of the frame rate it kept: below 0.9 it was starved, and may have skipped."""

    spans: list[Span]
    pace_share: float


def dvr_scan() -> str | None:
    """Where it is, or None."""
    return shutil.which("dvr-scan", path=f"{DVR_SCAN_FOLDER}{os.pathsep}{os.environ.get('PATH', '')}")


def motion() -> str | None:
    """Where it is, or None."""
    return shutil.which("motion")


def version(program: str) -> str:
    """The first line of its help or version that has a number in it."""
    option = "-h" if program.endswith("motion") else "--version"
    found = subprocess.run([program, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    number = re.search(r"\d+\.\d[\w.]*", found)
    return number[0] if number else "unknown"


def scanned(program: str, video: Video) -> list[Span]:
    """DVR-Scan's events of a file. RuntimeError where it fails."""
    command = [program, "-i", str(video.path), "--scan-only", "--quiet", "-tb", "0s"]
    if video.zone is not None:
        x, y, width, height = video.zone
        corners = (x, y, x + width, y, x + width, y + height, x, y + height)
        command += ["--add-region", *map(str, corners)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=video.path.parent,
                          env={**os.environ, **THREADS})
    if done.returncode:
        raise RuntimeError(f"dvr-scan ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    times_s = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in re.findall(r"(\d+):(\d\d):(\d\d\.\d+)", done.stdout)]
    frames = [video.stored(round(t_s * video.frames_per_s)) for t_s in times_s]
    return list(itertools.pairwise(frames))[::2]


def watched_by_motion(program: str, videos: Sequence[Video], folder: Path, seen: Callable[[int], None]) -> list[Played]:
    """Motion's events of each file, some files at a time, in real time. RuntimeError where it fails."""
    out: list[Played] = []
    for start in range(0, len(videos), AT_ONCE):
        out += _unstarved(program, videos[start : start + AT_ONCE], folder)
        seen(len(out))
    return out


def _unstarved(program: str, videos: Sequence[Video], folder: Path) -> list[Played]:
    """Play them again while the machine is too busy; which try counts is chosen by the clock alone."""
    best: list[Played] = []
    kept = -1.0
    for _ in range(TRIES):
        now = _batch(program, videos, folder)
        share = min(each.pace_share for each in now)
        if share > kept:
            best, kept = now, share
        if kept >= KEPT_SHARE:
            break
    return best


def _batch(program: str, videos: Sequence[Video], folder: Path) -> list[Played]:
    """Motion plays a file at its frame rate, and begins anew at its end: by that its clock is known exactly."""
    config = SETTINGS + f"target_dir {folder}\n"
    for number, video in enumerate(videos, 1):
        height_px = round(WIDTH_PX * video.height_px / video.width_px / 8) * 8  # it wants multiples of 8
        rate = max(2, round(video.frames_per_s))  # whole numbers only; the least it has is 2
        threshold_px = round(THRESHOLD_PX * height_px / HEIGHT_PX)  # the same share of whatever shape
        camera = folder / f"c{number}.conf"
        camera.write_text(f"camera_id {number}\ncamera_name c{number}\nnetcam_url file://{video.path}\n"
                          f"netcam_params capture_rate={rate}\nframerate {rate}\nwidth {WIDTH_PX}\nheight {height_px}\n"
                          f"threshold {threshold_px}\n")
        config += f"camera {camera}\n"
    path = folder / "motion.conf"
    path.write_text(config)
    heard: dict[int, list[tuple[float, str]]] = {number: [] for number in range(1, len(videos) + 1)}
    process = subprocess.Popen([program, "-n", "-c", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    longest_s = max(len(video.numbers) / max(2, round(video.frames_per_s)) for video in videos)
    watchdog = threading.Timer(1.5 * longest_s + START_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said = SAID.search(line)
            if said is None or int(said[1]) not in heard:
                continue
            heard[int(said[1])].append((time.monotonic(), said[2]))
            if said[2] == "End of file" and all(any(what == said[2] for _, what in each) for each in heard.values()):
                process.terminate()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    return [played(video, lines) for video, lines in zip(videos, heard.values(), strict=True)]


def played(video: Video, lines: Sequence[tuple[float, str]]) -> Played:
    """From what Motion said of a file, and when, in seconds, to its events. RuntimeError without its start and end."""
    started_s = next((at_s for at_s, what in lines if what.startswith("Camera")), None)
    ended_s = next((at_s for at_s, what in lines if what == "End of file"), None)
    if started_s is None or ended_s is None or ended_s <= started_s:
        raise RuntimeError(f"Motion did not play {video.path.parent.name} to its end")
    out: list[Span] = []
    began: int | None = None
    for at_s, what in lines:
        if at_s > ended_s:
            break  # it plays the file again
        frame = video.stored((at_s - started_s) / (ended_s - started_s) * len(video.numbers))
        if what == "Motion detected":
            began = frame
        elif what == "End of event" and began is not None:
            out.append((began, frame))
            began = None
    if began is not None:
        out.append((began, video.end))
    due_s = len(video.numbers) / max(2, round(video.frames_per_s))
    return Played(out, min(1.0, due_s / (ended_s - started_s)))
