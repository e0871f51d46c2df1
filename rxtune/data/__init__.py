"""Tasks as Arrow tables: which there are, their labelled text, their tokens, the order of batches.

One exception to "rooms of a floor are strangers": the catalogue reads Babel from `rxtune.testbed`,
because Babel is one entry among the tasks. The import is lazy, and the testbed does not know.
"""

from rxtune.data.catalogue import TASKS, find_task
from rxtune.data.languages import resolve_dev_languages
from rxtune.data.summary import DataSummary, UnknownShare, check_task, unknown_shares
from rxtune.data.task import Split, Task
from rxtune.data.tokens import load_tokenizer, tokenise

__all__ = [
    "TASKS",
    "DataSummary",
    "Split",
    "Task",
    "UnknownShare",
    "check_task",
    "find_task",
    "load_tokenizer",
    "resolve_dev_languages",
    "tokenise",
    "unknown_shares",
]
