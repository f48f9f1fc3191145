"""A report as one HTML file that stands alone: nothing is loaded from anywhere, and no script runs.

Decisions: docs/decisions/reports.md.
"""

import re
from collections.abc import Sequence
from importlib.resources import files

from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.section import Section

_HERE = files("pipelines.evaluate.report")


def page(about: About, sections: Sequence[Section]) -> str:
    """The page. All text is escaped; of drawings the SVG itself stands in it."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((_HERE / "page.html.jinja").read_text(encoding="utf-8"))
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    return template.render(about=about, sections=sections, style=style, inline=_inline) + "\n"


def _inline(svg: bytes) -> str:
    """An SVG as it stands in a page: without the head of a file, and as wide as there is room."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    # The ids of glyphs and clips are hashes of what they hold: the same id in two drawings is the same thing.
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} aria-hidden="true" focusable="false">{rest}'
