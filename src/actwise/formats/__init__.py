"""Readers of conversation logs: one small file per foreign format, one canonical form."""

from actwise.formats.read import FORMATS, Reader, read_files
from actwise.formats.record import Rejected

__all__ = ["FORMATS", "Reader", "Rejected", "read_files"]
