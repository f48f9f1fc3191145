"""Tables of figures that are printed as they come, and the clock of a device."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass
class Report:
    """Tables, printed as they come and written at the end."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        """Print a row; above the first of a table, its name."""
        rows = self.tables.setdefault(table, [])
        if not rows:
            print(f"\n{table}", flush=True)
        rows.append(row)
        print("  " + "  ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)

    def markdown(self) -> str:
        parts = []
        for table, rows in self.tables.items():
            names = list(rows[0])
            lines = [f"**{table}**", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
            lines += ["| " + " | ".join(shown(row[name]) for name in names) + " |" for row in rows]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path, name: str = "index_gpu") -> None:
        (folder / f"{name}.md").write_text(self.markdown())
        (folder / f"{name}.json").write_text(json.dumps(self.tables, indent=1))


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def wait(device: torch.device) -> None:
    """Let the device finish: until then its clock shows nothing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, work: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of a call, the median of several, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
