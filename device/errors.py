"""Errors that say what happened, and then what to do.

Rule 1: every refusal a person can meet is a DoorstepError with a hint.
Rule 2: only the command line prints one and turns it into an exit status.
"""

from __future__ import annotations


class DoorstepError(Exception):
    """Something the owner can mend: `message` says what happened, `hint` what to do."""

    exit_status = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(DoorstepError):
    """A setting, or a file that a setting names, cannot be used."""


class CameraError(DoorstepError):
    """The camera cannot be opened, or stopped giving frames."""


class RecordingError(DoorstepError):
    """A stored recording cannot be read."""


class PanelError(DoorstepError):
    """The button or the light cannot be used."""


class VaultError(DoorstepError):
    """No clip can be kept: a key, the folder or the room for it is missing."""
