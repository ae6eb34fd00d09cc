"""`doorstep clips list` and `doorstep clips verify`: what is there, and whether it is all that it should be.

Rule 1: a terminal gets a table and colour, a pipe plain columns, a program JSON lines; all say the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from device.errors import ConfigError, RecordingError
from device.keep import layout
from device.keep.owner_chain import Clip, Finding, Kind, judge, signer
from device.keep.owner_folder import clips_folder, hash_clip, named_device, read, unreadable
from device.keep.owner_screen import progress, screen
from device.keep.statement import Signed, Statement

HEADS = ("number", "started", "length", "size", "state")


def list_clips(named: Path, as_json: bool) -> int:
    """Print a line a clip: its statement is read, the clip is not."""
    folder = clips_folder(named)
    clips = {clip.number: clip for clip in read(folder)}
    main = {finding.number: finding for finding in judge(list(clips.values()), _whose(folder, list(clips.values())))
            if finding.kind not in (Kind.EARLIER, Kind.CHAIN_BROKEN, Kind.CLOCK_BACK)}
    rows = [(clips.get(finding.number), finding) for finding in main.values()]
    if as_json:
        for clip, finding in rows:
            print(json.dumps(_json(clip, finding)))
    else:
        _print_table([_columns(clip, finding) for clip, finding in rows], [finding for _, finding in rows])
    return 0


def verify(named: Path, device: str | None, as_json: bool) -> int:
    """Print what is found and whose clips they are; return 0 where all is whole and in order."""
    folder = clips_folder(named)
    clips = read(folder)
    if not clips:
        raise RecordingError(f"{folder} holds no clip", "name the folder that the clips were copied to")
    ours = _whose(folder, clips) if device is None else _fingerprint(device)
    findings = judge(list(_hashed(folder, clips)), ours)
    if as_json:
        for finding in findings:
            print(json.dumps({"number": finding.number, "last": finding.last, "kind": finding.kind,
                              "fails": finding.fails, "words": finding.words}))
        print(json.dumps({"device": ours, "first": findings[0].number, "last": findings[-1].last,
                          "whole": _count(findings, Kind.WHOLE), "fails": any(finding.fails for finding in findings)}))
    else:
        _print_findings(findings, ours, device is not None)
    return int(any(finding.fails for finding in findings))


def _whose(folder: Path, clips: list[Clip]) -> str | None:
    return named_device(folder) or signer(clips)


def _fingerprint(text: str) -> str:
    found = "SHA256:" + text.removeprefix("SHA256:").rstrip("=")
    if len(found) != len("SHA256:") + 43:
        raise ConfigError(f"{text} is no fingerprint", "it looks like SHA256: and 43 characters")
    return found


def _hashed(folder: Path, clips: list[Clip]) -> Iterator[Clip]:
    """Yield the clips with the SHA-256 of what can be compared with a statement."""
    with progress("reading", sum(clip.size_bytes or 0 for clip in clips)) as done:
        for clip in clips:
            path = folder / layout.clip(clip.number)
            try:
                if clip.size_bytes is None:
                    yield clip
                else:
                    with path.open("rb") as file:
                        yield replace(clip, sha256=hash_clip(file, done))
            except OSError as error:
                raise unreadable(error, path) from None


def _count(findings: list[Finding], kind: Kind) -> int:
    return sum(finding.count for finding in findings if finding.kind is kind)


def _print_findings(findings: list[Finding], ours: str | None, named: bool) -> None:
    show = screen(sys.stdout)
    for finding in findings:
        if finding.kind is not Kind.WHOLE:
            numbers = f"clip {finding.number}" if finding.count == 1 else f"clips {finding.number} to {finding.last}"
            show.print(Text(f"{numbers}: {finding.words}", "red" if finding.fails else "dim"))
    whole, deleted = _count(findings, Kind.WHOLE), _count(findings, Kind.DELETED)
    first, last = findings[0].number, findings[-1].last
    which = f"clip {first}" if first == last else f"clips {first} to {last}"
    also = f", {deleted} deleted by the device itself" if deleted else ""
    if any(finding.fails for finding in findings):
        show.print(Text(f"Not all is as it should be: of {which}, {whole} whole and unaltered{also}.", "bold red"))
    else:
        show.print(Text(f"All is as it should be: of {which}, {whole} whole and unaltered{also}.", "bold green"))
    if ours is None:
        show.print("No authentic statement is here: nothing shows which device recorded them.")
    elif named:
        show.print(f"Held against the device that you named, {ours}.")
    else:
        show.print(f"Device {ours}\nCompare it with what was noted at installation.")


def _said(clip: Clip | None) -> Statement | None:
    return clip.statement.statement if clip is not None and isinstance(clip.statement, Signed) else None


def _state(finding: Finding) -> str:
    return "statement ok" if finding.kind is Kind.WHOLE else finding.kind.value


def _json(clip: Clip | None, finding: Finding) -> dict[str, object]:
    said = _said(clip)
    return {"number": finding.number, "last": finding.last, "state": _state(finding),
            "bytes": clip.size_bytes if clip else None,
            "started": said.started_utc if said else None,
            "length_s": said.length_ms / 1000 if said else None, "ended": said.ended if said else None}


def _columns(clip: Clip | None, finding: Finding) -> tuple[str, ...]:
    said, size_bytes = _said(clip), clip.size_bytes if clip else None
    return (str(finding.number) if finding.count == 1 else f"{finding.number}-{finding.last}",
            said.started.astimezone().isoformat(" ") if said else "-",
            f"{said.length_ms / 1000:.1f} s" if said else "-",
            "-" if size_bytes is None else f"{size_bytes / 1e6:.1f} MB", _state(finding))


def _print_table(rows: list[tuple[str, ...]], findings: list[Finding]) -> None:
    if not sys.stdout.isatty():
        for row in (HEADS, *rows):
            print(f"{row[0]:>6}  {row[1]:25}  {row[2]:>8}  {row[3]:>9}  {row[4]}")
        return
    table = Table(box=None)
    for head in HEADS:
        table.add_column(head, justify="right" if head in ("number", "length", "size") else "left", no_wrap=True)
    for row, finding in zip(rows, findings, strict=True):
        table.add_row(*row[:-1], Text(row[-1], "red" if finding.fails else ""))
    screen(sys.stdout).print(table)
