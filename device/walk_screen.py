"""What the walk test shows: a state becomes lines of text.

Rule 1: pure. What is drawn is in the State, which has no picture; every sign differs without colour too.
Rule 2: never more lines, nor wider ones, than the window has; its last column stays free, so nothing wraps.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from device.checks import MASK_COLUMNS, MASK_ROWS
from device.messages import SeeToTell
from device.see.detector import Reason
from device.walk_grid import Sign, grid, grid_width, legend, printable, sample
from device.walk_model import Mode, State

LEAST_COLUMNS, LEAST_ROWS = 80, 24
_SIDE = 26  # columns beside the grid: the least for a bar with its share
_AROUND = 12  # lines that are not the grid's cells, at the least
_NOTE_LINES = 2  # a path and what to do about it
_LABEL = 12
_BAR_MOST = 40


TOLD = {
    SeeToTell.MOTION_STARTED: ("motion at {place}", "bold"),
    SeeToTell.MOTION_ENDED: ("motion is over", "dim"),
    SeeToTell.VIEW_BLOCKED: ("view blocked at {place}", "bold red"),
    SeeToTell.VIEW_CLEAR: ("view clear at {place}", "bold"),
}
KEYS = (("arrows", "hjkl"), ("space", "cell"), ("r", "row"), ("c", "column"), ("+ -", "sensitivity"), ("u", "undo"),
        ("s", "save"), ("q", "quit"), ("?", "help"))
HELP = """\
Walk where a visitor walks. Cells light up where the detector sees change. Mask
what moves and is not yours to watch: the street, a tree, the neighbour's door.
No picture is shown; change is all there is to see.

  arrows, h j k l  move the cursor       u, Ctrl-Z  undo
  space            mask a cell, or not   s, Ctrl-S  save mask and sensitivity
  r, c             a whole row, column   q          quit, and ask if not saved
  +, -             more, less sensitive  ?          this page

evidence     how much has been seen of a body: at 100 % it is motion. A lower
             sensitivity asks for more of it.
noise        of the camera; more of it hides small and distant things
would be told  before the cooldown, which merges what comes soon after

"""


def ago(seconds: float) -> str:
    """Say how long ago, for somebody who has just walked past."""
    if seconds < 1:
        return "now"
    return f"{int(seconds)} s ago" if seconds < 120 else f"{int(seconds // 60)} min ago"


def lines(state: State, columns: int, rows: int, *, plain: bool = False) -> list[Text]:
    """Draw `state` for a window of that size. plain: ASCII only."""
    width = columns - 1
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        leave = "Not saved: y quits, s saves." if state.mode is Mode.ASKING else "q quits."
        words = (f"The window is {columns} x {rows};", f"{LEAST_COLUMNS} x {LEAST_ROWS} is needed.", leave)
        drawn = [printable(line) for line in words]
    elif state.mode is Mode.HELP:
        drawn = [printable(line) for line in HELP.splitlines()]
        drawn += [sample(sign, plain) + printable(f"  {sign.value.words}") for sign in Sign]
        drawn += [Text(), printable("Any key goes back.", "bold")]
    else:
        drawn = _page(state, width, rows, plain)
    for line in drawn:
        line.truncate(max(width, 1), overflow="crop")
    return drawn[:rows]


def _page(state: State, width: int, rows: int, plain: bool) -> list[Text]:
    high = 1
    while _AROUND + MASK_ROWS * (high + 1) <= rows and grid_width(high + 1) + 2 + _SIDE <= width:
        high += 1
    drawn_grid = grid(state, high, plain)
    side = _side(state, width - grid_width(high) - 2, plain)
    side += [Text()] * (len(drawn_grid) - len(side))
    drawn = [_header(state, width), *(left + "  " + right for left, right in zip(drawn_grid, side, strict=False))]
    foot = [legend(plain), *_keys(width), *_note(state, width)]
    return [*drawn, *_told(state, rows - len(drawn) - len(foot)), *foot]


def _header(state: State, width: int) -> Text:
    right = "NOT SAVED" if state.unsaved else "saved" if state.done else ""
    left = printable(f"Doorstep walk test   {state.source}", "bold")
    left.truncate(width - len(right) - 2, overflow="crop", pad=True)
    return left + "  " + printable(right, "bold red" if state.unsaved else "dim")


def _side(state: State, width: int, plain: bool) -> list[Text]:
    last, pace = state.last, state.frames_per_s
    evidence = last.evidence if last else 0.0
    bar = min(_BAR_MOST, width - _LABEL - 6)
    full, share = round(evidence * bar), f"{100 * evidence:4.0f} %"
    rows = {
        "evidence": printable(("#" if plain else "█") * full, "bold red" if evidence >= 1 else "green")
        + printable(("-" if plain else "░") * (bar - full), "dim") + printable(share),
        "noise": printable(f"{last.noise_levels:.1f} levels" if last else ""),
        "pace": printable(f"{pace:.1f} frames/s" if pace else ""),
        "sensitivity": printable(f"{state.settings.sensitivity} of 5"),
        "masked": printable(f"{state.settings.masked} of {MASK_ROWS * MASK_COLUMNS}"),
        "cursor": printable(f"row {state.row + 1}, col {state.column + 1}"),
    }
    reason = last.reason.value if last else "waiting for the first frame"
    style = "bold red" if state.over else "bold" if last and last.reason is Reason.BODY else ""
    said = _wrapped(state.over or reason, width, MASK_ROWS - len(rows), style)
    return [Text(), *(printable(f"{label:{_LABEL}}", "dim") + value for label, value in rows.items()), Text(), *said]


def _told(state: State, count: int) -> list[Text]:
    drawn = [printable("Would be told:" + ("" if state.told else " nothing yet"), "dim")]
    for word, t_s in state.told[:count - 1]:
        words, style = TOLD[word]
        when = ago(state.last.t_s - t_s) if state.last else ""
        drawn.append(printable(f"{when:>12}  ", "dim") + printable(words.format(place=state.place), style))
    return drawn + [Text()] * (count - len(drawn))


def _keys(width: int) -> list[Text]:
    drawn = [Text()]
    for key, words in KEYS:
        item = printable(key, "bold") + printable(f" {words}   ")
        if cell_len(drawn[-1].plain) + cell_len(item.plain.rstrip()) > width:
            drawn.append(Text())
        drawn[-1] += item
    return drawn


def _note(state: State, width: int) -> list[Text]:
    if state.mode is Mode.ASKING:
        words, style = "Quit without saving? y quits, s saves and quits, any other key goes on.", "bold red"
    else:
        words, style = state.note, "bold red" if state.note.startswith("NOT") else "bold"
    drawn = _wrapped(words, width, _NOTE_LINES, style)
    return drawn + [Text()] * (_NOTE_LINES - len(drawn))


def _wrapped(words: str, width: int, most: int, style: str) -> list[Text]:
    """Break into lines between words, and within one that is too long; what is too much ends in an ellipsis."""
    drawn = [""]
    for word in words.split():
        fits = cell_len(drawn[-1]) + 1 + cell_len(word) <= width
        if fits and drawn[-1]:
            drawn[-1] += " " + word
            continue
        drawn += [word] if drawn[-1] else []
        drawn[-1] = drawn[-1] or word
        while cell_len(drawn[-1]) > width:
            drawn[-1:] = [drawn[-1][:width], drawn[-1][width:]]
    if len(drawn) > most:
        drawn[most - 1 :] = [drawn[most - 1][: width - 3] + "..."]
    return [printable(line, style) for line in drawn] if words else []
