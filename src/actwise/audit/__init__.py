"""What happened in a run's reinforcement learning: trends, tricks, and examples to read.

Needs neither torch nor transformers.
"""

from actwise.audit.audit import Audit, audit_run
from actwise.audit.page import write_audit
from actwise.audit.table import render

__all__ = ["Audit", "audit_run", "render", "write_audit"]
