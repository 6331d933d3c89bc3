"""Readers of conversation logs: one small file per foreign format, one canonical form."""

from actwise.formats.read import FORMATS, Reader, read_files
from actwise.formats.record import Rejected
from actwise.formats.write import Written, write_conversations

__all__ = ["FORMATS", "Reader", "Rejected", "Written", "read_files", "write_conversations"]
