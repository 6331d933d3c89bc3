"""Look through conversations for what would poison training, and for what they consist of.

One small file per family of findings. Everything is done in one pass; what is kept of a
conversation are its place and some numbers: about 300 bytes, and 24 more per decision. Apart from
that, memory holds the schemas of all tools and some ten thousand texts of answers.
"""

from actwise.doctor.diagnosis import Diagnosis, examine
from actwise.doctor.files import examine_files
from actwise.doctor.page import write_page
from actwise.doctor.sizes import Lengths
from actwise.doctor.table import render
from actwise.findings.finding import Finding

__all__ = [
    "Diagnosis",
    "Finding",
    "Lengths",
    "examine",
    "examine_files",
    "render",
    "write_page",
]
