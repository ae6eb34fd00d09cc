"""Whether clips are whole, unaltered, and none missing between two: a pure judgement over what lies in a folder.

Rule 1: every number from the lowest to the highest is spoken of, in a closed vocabulary; silence is no answer.
Rule 2: only an authentic statement of the right device excuses or proves anything.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from device.keep.statement import Signed, Statement, StatementError, digest, fingerprint


class Kind(StrEnum):
    """What can be found of a clip."""

    WHOLE = "whole"
    CUT = "cut short"
    ALTERED = "altered"
    SWAPPED = "swapped"
    FILE_GONE = "file gone"
    MISSING = "missing"
    NEVER_SIGNED = "never signed"
    STATEMENT_GONE = "statement gone"
    NO_STATEMENT = "no statement"
    UNREADABLE = "statement altered"
    FORGED = "statement forged"
    OTHER_DEVICE = "another device"
    MISPLACED = "statement swapped"
    CHAIN_BROKEN = "chain broken"
    DELETED = "deleted by the device"
    CLOCK_BACK = "clock went back"
    EARLIER = "earlier not here"


SAYS: dict[Kind, str] = {
    Kind.WHOLE: "whole and unaltered",
    Kind.CUT: "cut short: {} of {} bytes are missing",
    Kind.ALTERED: "altered: it is not the file that the device signed",
    Kind.SWAPPED: "swapped: the file is that of clip {}",
    Kind.FILE_GONE: "the clip is missing, its statement is here",
    Kind.MISSING: "missing: neither the clip nor its statement is here",
    Kind.NEVER_SIGNED: "the device made no statement, as after a power cut; nothing shows it unaltered",
    Kind.STATEMENT_GONE: "its statement is missing: the device made one, the next follows it",
    Kind.NO_STATEMENT: "no statement: a power cut, or somebody removed it",
    Kind.UNREADABLE: "its statement was altered ({})",
    Kind.FORGED: "its statement is forged or altered: the signature is false",
    Kind.OTHER_DEVICE: "its statement is of another device, {}",
    Kind.MISPLACED: "its statement is that of clip {}",
    Kind.CHAIN_BROKEN: "its statement does not follow that of clip {}",
    Kind.DELETED: "deleted by the device itself, to make room",
    Kind.CLOCK_BACK: "the device's clock went back before it: clip {} says it began later",
    Kind.EARLIER: "what was recorded before it is not here",
}
HARMLESS = {Kind.WHOLE, Kind.DELETED, Kind.CLOCK_BACK, Kind.EARLIER}


@dataclass(frozen=True, slots=True)
class Clip:
    """What lies in the folder under one number."""

    number: int
    size_bytes: int | None  # of the age file; None where there is none
    statement: Signed | StatementError | None
    sha256: str | None = None  # of the age file; None where it was not read, and is not judged

    def good(self, ours: str | None) -> bool:
        """Whether its statement proves anything."""
        said = self.statement
        return (isinstance(said, Signed) and fingerprint(said.device) == ours and said.authentic
                and said.statement.sequence == self.number)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer, of one clip or of a gap from `number` to `last`."""

    number: int
    kind: Kind
    words: str
    last: int

    @property
    def fails(self) -> bool:
        """Whether the clips are not all that they should be."""
        return self.kind not in HARMLESS

    @property
    def count(self) -> int:
        """How many numbers it speaks of."""
        return self.last - self.number + 1


def signer(clips: Sequence[Clip]) -> str | None:
    """Return the fingerprint that most authentic statements carry, for a folder that does not say whose it is."""
    devices = Counter(clip.statement.device for clip in clips
                      if isinstance(clip.statement, Signed) and clip.statement.authentic)
    return fingerprint(devices.most_common(1)[0][0]) if devices else None


def judge(clips: Sequence[Clip], ours: str | None) -> list[Finding]:
    """Return the findings by number; `ours` is the fingerprint of the device whose clips they should be."""
    here = {clip.number: clip for clip in clips}
    chain = _Chain.of(clips, ours)
    deleted = {number for said in chain.good.values() for number in said.deleted}
    findings: list[Finding] = []
    expected = min(here.keys() | deleted, default=1)
    if expected > 1:
        findings.append(_finding(expected, Kind.EARLIER))
    for number in sorted(here.keys() | deleted):
        if number > expected:
            findings.append(_finding(expected, Kind.MISSING, last=number - 1))
        expected = number + 1
        clip = here.get(number, Clip(number, None, None))
        proved = number in chain.good
        if number in deleted and clip.size_bytes is None and (proved or clip.statement is None):
            findings.append(_finding(number, Kind.DELETED))
        else:
            findings.append(chain.signed(clip) if proved else chain.unsigned(clip, ours))
        if proved:
            findings.extend(chain.links(number))
    return findings


def _finding(number: int, kind: Kind, *about: object, last: int | None = None) -> Finding:
    return Finding(number, kind, SAYS[kind].format(*about), last or number)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The good statements, by number and in order."""

    good: dict[int, Statement]
    order: list[int]
    digests: dict[int, str]
    files: dict[str, int]  # whose clip it is, by SHA-256

    @classmethod
    def of(cls, clips: Sequence[Clip], ours: str | None) -> _Chain:
        signed = {clip.number: clip.statement for clip in sorted(clips, key=lambda clip: clip.number)
                  if isinstance(clip.statement, Signed) and clip.good(ours)}
        good = {number: said.statement for number, said in signed.items()}
        return cls(good, list(good), {number: digest(said.data) for number, said in signed.items()},
                   {said.sha256: number for number, said in good.items()})

    def before(self, number: int) -> int | None:
        place = bisect_left(self.order, number)
        return self.order[place - 1] if place else None

    def after(self, number: int) -> int | None:
        place = bisect_right(self.order, number)
        return self.order[place] if place < len(self.order) else None

    def follows(self, number: int) -> bool:
        """Whether a good statement names as the one before it the good one before it, or none where there is none."""
        before = self.before(number)
        return self.good[number].before == (None if before is None else self.digests[before])

    def signed(self, clip: Clip) -> Finding:
        """Hold a clip against its good statement."""
        number, said = clip.number, self.good[clip.number]
        if clip.size_bytes is None:
            return _finding(number, Kind.FILE_GONE)
        if clip.sha256 not in (None, said.sha256) and clip.sha256 in self.files:
            return _finding(number, Kind.SWAPPED, self.files[clip.sha256])
        if clip.size_bytes < said.size_bytes:
            return _finding(number, Kind.CUT, said.size_bytes - clip.size_bytes, said.size_bytes)
        if clip.size_bytes > said.size_bytes or clip.sha256 not in (None, said.sha256):
            return _finding(number, Kind.ALTERED)
        return _finding(number, Kind.WHOLE)

    def unsigned(self, clip: Clip, ours: str | None) -> Finding:
        """Say why nothing is proved of a clip."""
        number, said = clip.number, clip.statement
        if isinstance(said, StatementError):
            return _finding(number, Kind.UNREADABLE, said.message)
        if said is not None:
            if not said.authentic:
                return _finding(number, Kind.FORGED)
            if fingerprint(said.device) != ours:
                return _finding(number, Kind.OTHER_DEVICE, fingerprint(said.device))
            return _finding(number, Kind.MISPLACED, said.statement.sequence)
        after = self.after(number)
        if after is not None and self.follows(after):
            return _finding(number, Kind.NEVER_SIGNED)
        # Of several without a statement it is not known which had one.
        alone = after == number + 1 and (number == 1 or number - 1 in self.good)
        return _finding(number, Kind.STATEMENT_GONE if alone else Kind.NO_STATEMENT)

    def links(self, number: int) -> Iterator[Finding]:
        """Hold a good statement against the good one before it; what lies between the two has its own finding."""
        before = self.before(number)
        if before is None:
            return
        if not self.follows(number):
            known = self.good[number].before in (None, *self.digests.values())
            if known or number == before + 1:
                yield _finding(number, Kind.CHAIN_BROKEN, before)
        if self.good[number].started < self.good[before].started:
            yield _finding(number, Kind.CLOCK_BACK, before)
