"""A study's tables to a report: plots, a page that stands alone, a Markdown page.

`write_report` takes a folder. Sections (`sections/`) ask `evaluate/analysis/` and say what came of it; the
page and the Markdown show any sections. Runs nothing and opens no store.
"""

from pipelines.evaluate.report.writing import write_report

__all__ = ["write_report"]
