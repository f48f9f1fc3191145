"""`ralm eval report`: a study's tables to plots and pages, anew."""

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(help="a study's folder, with results.parquet")]) -> None:
    """Write a study's report and plots from its tables."""
    from pipelines.evaluate.report import write_report
    from pipelines.show.measured import studies

    studies.written(write_report(folder), folder)
