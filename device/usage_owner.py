"""The owner's commands, for any computer: their words, options and examples.

Rule 1: every line fits into 80 columns, and every command has an example.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

GROUPS: dict[str, str] = {
    "key": "make the key that opens clips",
    "clips": "list, open and verify clips, on any computer",
}

COMMANDS: dict[str, tuple[str, str]] = {
    "key new": ("make the key that opens clips, on your own computer", """\
An age identity, as age-keygen makes it; any age program can use it. FILE is
doorstep/identity.txt in your configuration folder if left out. Its public
half goes into doorstep.toml on the device; the key itself never does.

examples:
  doorstep key new
  doorstep key new --print key.svg   (a page for the drawer with the deeds)"""),
    "clips list": ("what clips there are, and what was signed of them", """\
DIR is a copy of the folder clips on the device. Only statements are read;
verify reads the clips too.

example:
  doorstep clips list clips/"""),
    "clips open": ("turn a clip into a video, with your key", """\
CLIP is a file, or its number in DIR. Of a clip that was cut short or damaged
all that is authentic is given, what was lost is said, and the exit status is
1. The picture is not encoded again.

examples:
  doorstep clips open clips/clip-000007.ts.age
  doorstep clips open 7 clips/ -o visit.mp4 --identity key.txt
  doorstep clips open 7 clips/ -o - | mpv -
  age -d key.age | doorstep clips open 7 clips/ --identity -"""),
    "clips verify": ("whether clips are whole, unaltered, and none is missing", """\
Holds every clip against its signed statement and every statement against the
one before it. Says whose clips they are: compare it with what was noted when
the device was installed, or name that with --device.

It cannot show that the newest clips were removed together with their
statements, or the oldest; nor what was never recorded. A recording that a
power cut ended has no statement. What is checked: CLIPS.md.

examples:
  doorstep clips verify clips/
  doorstep clips verify clips/ --device SHA256:Zmh6rfhivXdsj8GLjp+OIAiX..."""),
}


def add(subs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add what each takes."""
    new, opens = subs["key new"], subs["clips open"]
    new.add_argument("file", type=Path, nargs="?", metavar="FILE", help="where the key goes; - only shows it")
    new.add_argument("--print", type=Path, metavar="SVG", dest="paper", help="also write a page to print")
    new.add_argument("--qr", action="store_true", help="also show the secret key as a QR code, here in the terminal")
    new.add_argument("--here", action="store_true", help="make it even where this looks like the device")
    opens.add_argument("clip", metavar="CLIP")
    opens.add_argument("folder", type=Path, nargs="?", metavar="DIR")
    opens.add_argument("--identity", type=Path, metavar="KEY",
                       help="your key, - for standard input (default: where key new put it)")
    opens.add_argument("-o", dest="output", type=Path, metavar="FILE",
                       help="the MP4 (default: the clip's name, in this folder), or - for the stream as recorded")
    opens.add_argument("--force", action="store_true", help="overwrite FILE")
    for name in ("clips list", "clips verify"):
        subs[name].add_argument("folder", type=Path, metavar="DIR")
        subs[name].add_argument("--json", action="store_true", help="one JSON line a clip")
    subs["clips verify"].add_argument("--device", metavar="FINGERPRINT", help="whose clips they must be")
