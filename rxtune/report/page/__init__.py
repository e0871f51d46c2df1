"""A search as one HTML page that opens from disk, and its plots as files for a paper."""

from rxtune.report.page.findings import Findings, Point, gather
from rxtune.report.page.plot import FORMATS
from rxtune.report.page.write import Written, write_report

__all__ = ["FORMATS", "Findings", "Point", "Written", "gather", "write_report"]
