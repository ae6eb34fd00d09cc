"""A table in a document, between two markers: made from measurements that are checked in, never by hand.

Rule 1: what stands between the markers is wholly the table's; the rest of the document is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Marked:
    """The place of a table: two lines of which each stands in the document once."""

    begin: str
    end: str

    def within(self, text: str) -> str:
        """What stands between the markers. ValueError without them, each once and in order."""
        if text.count(self.begin) != 1 or text.count(self.end) != 1 or text.index(self.begin) > text.index(self.end):
            raise ValueError(f"the markers are missing; put these two lines where the table belongs:\n{self.begin}\n{self.end}")
        return text.split(self.begin)[1].split(self.end)[0].strip("\n")

    def rewrite(self, path: Path, table: str) -> None:
        """Put a table between the markers of a file. ValueError without them."""
        text = path.read_text()
        self.within(text)
        before, after = text.split(self.begin)[0], text.split(self.end)[1]
        path.write_text(f"{before}{self.begin}\n{table}\n{self.end}{after}")
