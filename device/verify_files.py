"""What lies on the disk: settings, secrets, recordings, links and logs become facts.

Rule 1: it reads only the beginning and the end of a clip, and shows nothing of what it reads.
Rule 2: what only root may see is None for others; what is not there is no fact.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from device.config import Config
from device.keep import layout
from device.keep.statement import StatementError, parse
from device.keep.vault import NEW
from device.verify_facts import Clip, Owned
from device.verify_proc import whose

LINKS = Path("/run/doorstep")
JOURNALS = Path("/var/log/journal")
_PIECE_BYTES = 1 << 16  # an age header takes about 200
_STATEMENT_MOST_BYTES = 8_000_000  # one that lists every number as deleted is a little shorter
_KEY_MOST_BYTES = 200  # an Ed25519 key in PEM takes 113
# The age format, v1: version, stanzas of recipients, the header's MAC.
_HEADER = re.compile(rb"age-encryption\.org/v1\n"
                     rb"(?:-> [!-~]+(?: [!-~]+)*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)+"
                     rb"--- [A-Za-z0-9+/]{43}\n")
_PACKET_BYTES, _SYNC, _IN_A_ROW = 188, b"G", 8  # of MPEG-TS; chance makes 8 of them once in 10^14 places
_SECRETS = {"a key that opens clips": r"AGE-SECRET-KEY-1", "a private key": r"PRIVATE KEY-----"}


def owned(path: Path) -> tuple[Owned, ...]:
    """Return whose a file is; nothing where there is none. Raise PermissionError."""
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return ()
    return (Owned(str(path), seen.st_mode & 0o7777, *whose(seen)),)


def secrets(config: Config) -> tuple[Owned, ...]:
    """Return the files of secrets that `config` names."""
    names = (config.broker.password_file, config.broker.key_file)
    return tuple(file for name in names if name for file in owned(Path(name)))


def secrets_in(text: str, config: Config) -> tuple[str, ...]:
    """Return what kinds of secrets stand in the text of a doorstep.toml."""
    found = [what for what, pattern in _SECRETS.items() if re.search(pattern, text)]
    with contextlib.suppress(OSError):  # only root and `tell` may read it
        password = Path(config.broker.password_file).read_text(encoding="utf-8").strip()
        if password and password in text:
            found.append("the broker's password")
    return tuple(found)


def vault(folder: Path) -> tuple[Owned, ...]:
    """Return whose everything in the folder of recordings is. Raise PermissionError."""
    inside = sorted([*folder.iterdir(), *(folder / layout.CLIPS).glob("*")]) if folder.is_dir() else []
    return tuple(file for path in (folder, *inside) for file in owned(path))


def clips(folder: Path) -> tuple[Clip, ...]:
    """Return every file among the clips, with why it is none that should lie there. Raise PermissionError."""
    if not (folder / layout.CLIPS).is_dir():
        return ()
    return tuple(Clip(path.name, _fault(path)) for path in sorted((folder / layout.CLIPS).iterdir()))


def _fault(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return "is no file"
    if layout.clip_number(path.name):
        with path.open("rb") as file:
            head = file.read(_PIECE_BYTES)
            file.seek(max(0, path.stat().st_size - _PIECE_BYTES))
            return clip_fault(head, file.read())
    name = path.name.removesuffix(NEW)
    if layout.statement_number(name):
        return _statement_fault(path)
    if name == layout.PUBLIC:
        return "" if path.stat().st_size <= _KEY_MOST_BYTES else "is no key"
    return "is nothing that Doorstep puts there"


def _statement_fault(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_STATEMENT_MOST_BYTES)
    if path.name.endswith(NEW) and not data.strip(b"\0"):  # room that is held for it while its clip is recorded
        return ""
    try:
        parse(data)
    except StatementError as error:
        return error.message
    return ""


def clip_fault(head: bytes, tail: bytes) -> str:
    """Say what is wrong with a clip by its beginning and its end; an empty one was just begun."""
    if is_video(head) or is_video(tail):
        return "holds plain MPEG-TS"
    return "" if not head or _HEADER.match(head) else "is no age file"


def is_video(data: bytes) -> bool:
    """Whether there is a stretch of MPEG-TS in it."""
    return any(_SYNC * _IN_A_ROW in data[offset::_PACKET_BYTES] for offset in range(_PACKET_BYTES))


def links() -> tuple[Owned, ...]:
    """Return whose systemd's sockets are, and their folder."""
    return tuple(file for path in (LINKS, *sorted(LINKS.glob("*.sock"))) for file in owned(path))


def journals() -> tuple[str, ...]:
    """Return the logs of ours on a disk; journald makes their folder in any case."""
    return tuple(str(path) for path in sorted(JOURNALS.glob("*.doorstep/*")))
