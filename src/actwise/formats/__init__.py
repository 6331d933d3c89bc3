"""Readers of conversation logs: one small file per foreign format, one canonical form."""

from actwise.formats.files import UniqueIds, read_each, read_files
from actwise.formats.read import FORMATS, Reader
from actwise.formats.record import Rejected
from actwise.formats.write import Written, convert_files, write_conversations

__all__ = [
    "FORMATS",
    "Reader",
    "Rejected",
    "UniqueIds",
    "Written",
    "convert_files",
    "read_each",
    "read_files",
    "write_conversations",
]
