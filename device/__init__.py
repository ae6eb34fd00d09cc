"""Doorstep: a door camera that tells and never shows."""

__version__ = "0.1.0"
