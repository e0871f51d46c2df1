"""What a search found: the summary, its tables, and the statistics behind a claim."""

from rxtune.report.confirmation import (
    Confirmation,
    confirmation_table,
    contrast_table,
    failure_notes,
    mixed_language_matrices,
    verdict,
    weigh,
)
from rxtune.report.statistics import (
    PairedComparison,
    binomial_standard_error,
    holm,
    paired_comparison,
    spearman,
)
from rxtune.report.summary import Summary, summarise
from rxtune.report.tables import (
    Table,
    comparison_table,
    describe,
    markdown,
    mixed_language_table,
    optimism_note,
    plain_text,
)

__all__ = [
    "Confirmation",
    "PairedComparison",
    "Summary",
    "Table",
    "binomial_standard_error",
    "comparison_table",
    "confirmation_table",
    "contrast_table",
    "describe",
    "failure_notes",
    "holm",
    "markdown",
    "mixed_language_matrices",
    "mixed_language_table",
    "optimism_note",
    "paired_comparison",
    "plain_text",
    "spearman",
    "summarise",
    "verdict",
    "weigh",
]
