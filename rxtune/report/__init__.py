"""What a search found: the summary, its tables, and the statistics behind a claim."""

from rxtune.report.answers import read_answers
from rxtune.report.audit import Audit, audit_csv, audit_notes, audit_signals, audit_table
from rxtune.report.conclusion import winner_metrics, winner_tags
from rxtune.report.confirmation import Confirmation, Evidence, weigh
from rxtune.report.confirmation_tables import (
    EXPLANATION,
    configuration_table,
    confirmation_csv,
    confirmation_report,
    contrast_table,
    language_table,
    means_table,
    mixed_language_matrices,
    sections,
)
from rxtune.report.pareto import front_table, pareto_front
from rxtune.report.publication import publish
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
    blocks,
    comparison_table,
    describe,
    languages_csv,
    markdown,
    mixed_language_table,
    optimism_note,
    plain_text,
)
from rxtune.report.verdict import (
    claim_metrics,
    claim_of,
    claim_tags,
    failure_notes,
    optimism_of_search,
    verdict,
)

__all__ = [
    "EXPLANATION",
    "Audit",
    "Confirmation",
    "Evidence",
    "PairedComparison",
    "Summary",
    "Table",
    "audit_csv",
    "audit_notes",
    "audit_signals",
    "audit_table",
    "binomial_standard_error",
    "blocks",
    "claim_metrics",
    "claim_of",
    "claim_tags",
    "comparison_table",
    "configuration_table",
    "confirmation_csv",
    "confirmation_report",
    "contrast_table",
    "describe",
    "failure_notes",
    "front_table",
    "holm",
    "language_table",
    "languages_csv",
    "markdown",
    "means_table",
    "mixed_language_matrices",
    "mixed_language_table",
    "optimism_note",
    "optimism_of_search",
    "paired_comparison",
    "pareto_front",
    "plain_text",
    "publish",
    "read_answers",
    "sections",
    "spearman",
    "summarise",
    "verdict",
    "weigh",
    "winner_metrics",
    "winner_tags",
]
