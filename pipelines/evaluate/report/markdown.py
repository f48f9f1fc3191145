"""A report as a Markdown page."""

from collections.abc import Sequence

from pipelines.evaluate.report.section import Section, Table


def markdown(title: str, sections: Sequence[Section], figures: str) -> str:
    """The page; `figures` is the folder that drawings lie in, beside it."""
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        if section.absent:
            parts.append(f"Not made: {section.absent}")
        parts += [section.intro] if section.intro else []
        parts += ["\n".join(f"- {_text(claim)}" for claim in section.claims)] if section.claims else []
        parts += [f"![{_text(one.alt)}]({figures}/{one.name}.svg)" for one in section.figures]
        parts += [_table(one) for one in section.tables if not one.folded]
        parts += ["\n".join(f"- {_text(note)}" for note in section.notes)] if section.notes else []
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rules = [" ---: " if right else " --- " for right in table.figures]
    lines = [
        f"**{_text(table.caption)}**",
        "",
        _row(table.columns),
        "|" + "|".join(rules) + "|",
        *map(_row, table.rows),
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


def _text(text: str) -> str:
    """Text that Markdown shows as it is, in a line and in a cell."""
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
