"""Amounts for people: counts with their unit, bytes, joules, seconds; and sizes as people write them."""

import re

from base.errors import RalmError

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{p}iB": 1024**i for i, p in enumerate("KMGT", 1)}
_UNITS |= {f"{p}B": 1000**i for i, p in enumerate("KMGT", 1)}


def amount(number: float, unit: str) -> str:
    """A count for people: 1,234 passages; 1 query; 12.3 MB."""
    if unit == "bytes":
        if number < 1e3:
            return f"{number:,.0f} byte" + ("" if round(number) == 1 else "s")
        if number < 1e6:
            return f"{number / 1e3:,.1f} KB"
        return f"{number / 1e6:,.1f} MB" if number < 1e9 else f"{number / 1e9:,.2f} GB"
    shown = f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
    return f"{shown} {singular(unit) if shown == '1' else unit}".strip()


def singular(unit: str) -> str:
    """One of what a plural counts: a passage, a query."""
    return f"{unit[:-3]}y" if unit.endswith("ies") else unit.removesuffix("s")


def energy(joules: float) -> str:
    """Joules for people: 812 J, 12.3 kJ, 1.5 MJ, 42.0 kWh."""
    if joules < 1e3:
        return f"{joules:,.0f} J"
    if joules < 1e6:
        return f"{joules / 1e3:,.1f} kJ"
    return f"{joules / 1e6:,.1f} MJ" if joules < 3.6e7 else f"{joules / 3.6e6:,.1f} kWh"


def duration(seconds: float) -> str:
    """Seconds for people: 4.2s, 3m 20s, 2h 05m, 12d 3h."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours < 48 else f"{hours // 24}d {hours % 24}h"


def parse_bytes(text: str) -> int:
    """Read a size such as 4GiB, 500MB or 1024. Raises RalmError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if not found or found[2] not in _UNITS:
        raise RalmError(f"{text!r} is not a size: write it as 4GiB, 500MB or 1024.")
    return int(float(found[1]) * _UNITS[found[2]])
