"""The report: one page, and one table, from what a run folder holds.

Needs neither torch nor transformers.
"""

from actwise.report.episodes import write_episodes
from actwise.report.page import results_so_far, write_report
from actwise.report.table import write_table

__all__ = ["results_so_far", "write_episodes", "write_report", "write_table"]
