"""Results as JSON documents: what the commands print with `--json`.

Keys are stable: one may be added, none changes its meaning or goes. Scores and shares are
fractions of 1, unrounded; durations are in seconds, moments in Unix time, sizes in bytes; costs
are in forward passes of one example. What is not known is null, never NaN. A trial is always
written as `trial_document` does, so the same keys mean the same in every command.
"""

from rxtune.cli.as_json.data import check_document, task_document
from rxtune.cli.as_json.document import plain, print_json
from rxtune.cli.as_json.findings import audit_document, confirm_document, report_document
from rxtune.cli.as_json.search import search_document, status_document, trial_document

__all__ = [
    "audit_document",
    "check_document",
    "confirm_document",
    "plain",
    "print_json",
    "report_document",
    "search_document",
    "status_document",
    "task_document",
    "trial_document",
]
