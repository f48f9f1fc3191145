"""Tables of a study that was never run: answers drawn by a known law, which a report should find.

A question is answered rightly with probability e - a N^-alpha - b D^-beta (of the LM alone: less), a
document's bits a byte are e + a N^-alpha + b D^-beta with noise of its own.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipelines.evaluate.tables import Basis, Cell, Result, Tables, Values

ALPHA, BETA = 0.35, 0.3
TOKENS = 10**8
LEAST = 10**5
# Bytes a parameter of each quantization, and what it costs in the metric.
QUANTIZATIONS = {"none": (2.0, 0.0), "nf4": (0.6, 0.03)}


@dataclass(frozen=True)
class Simulated:
    """What is drawn: sizes of readers, shares of the store, seeds, questions."""

    parameters: tuple[int, ...] = (135_000_000,)
    fractions: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    seeds: int = 3
    questions: int = 200
    documents: int = 0
    quantizations: tuple[str, ...] = ("none",)
    joules: bool = True
    retrieval: bool = True
    seed: int = 0

    def tables(self) -> Tables:
        """Both tables."""
        rng = np.random.default_rng(self.seed)
        hard = rng.normal(0, 0.25, self.questions)
        sizes = rng.integers(500, 3000, self.documents).astype(float)
        found = []
        for cell in (*self._searched(), *self._read()):
            metric, best = (
                ("reader exact match", 0.9) if cell.reader else ("success", 0.9 - 0.6 / cell.k**0.5)
            )
            best -= QUANTIZATIONS[cell.quantization][1] if cell.reader else 0
            chance = np.clip(best - lack(cell) + hard, 0, 1)
            right = (rng.random(self.questions) < chance).astype(float)
            found.append(self._result(("trivia", metric, "share"), cell, right))
            if cell.reader and self.documents:
                found += self._texts(rng, cell, sizes)
        return Tables("5" * 16).merged([one for one, _ in found], [one for _, one in found])

    def _searched(self):
        return [replace(view, k=k) for view in self._views() for k in (1, 5)] if self.retrieval else []

    def _read(self):
        found = []
        for parameters in self.parameters:
            for quantization in self.quantizations:
                reader = {"reader": f"lm-{parameters // 10**6}M", "quantization": quantization}
                found.append(Cell(0.0, conditioning="none", **reader))
                found += [replace(view, k=3, conditioning="front", **reader) for view in self._views()]
        return found

    def _views(self):
        return [
            Cell(fraction, seed, method="dense")
            for fraction in self.fractions
            for seed in range(self.seeds if fraction < 1 else 1)
        ]

    def _texts(self, rng, cell, size):
        bits = 0.6 + lack(cell) + rng.normal(0, 0.03, self.documents)
        sums = {"nats": bits * size * np.log(2), "tokens": size / 4, "bytes": size}
        return [self._result(("texts", name, name), cell, of) for name, of in sums.items()]

    def _result(self, named, cell, values):
        task, metric, unit = named
        better = "lower" if task == "texts" else "higher"
        kind = "perplexity" if task == "texts" else "questions" if cell.reader else "retrieval"
        mean, error = values.mean(), 1.96 * values.std() / len(values) ** 0.5
        figures = (mean, mean - error, mean + error, len(values))
        names = tuple(f"q{at}" for at in range(len(values)))
        return (
            Result(task, kind, metric, unit, better, *figures, cell, self._basis(cell)),
            Values(task, cell.id, metric, names, np.arange(len(values)), values),
        )

    def _basis(self, cell: Cell) -> Basis:
        passages = round(TOKENS / 100 * cell.fraction)
        parameters = parameters_of(cell)
        return Basis(
            manifest="a" * 16,
            encoder="minilm",
            view=f"view{cell.fraction}-{cell.seed}",
            passages=passages,
            tokens=passages * 100,
            index_bytes=passages * 48,
            vector_bytes=passages * 768,
            text_bytes=passages * 400,
            reader_bytes=int(parameters * QUANTIZATIONS[cell.quantization][0]) if parameters else None,
            reader_parameters=parameters,
            joules=parameters * (60 + 100 * cell.k) / 1e10 if parameters and self.joules else None,
            seconds=1.0,
        )


def parameters_of(cell: Cell) -> int | None:
    """A cell's reader's, by its name."""
    return int(cell.reader.removeprefix("lm-").removesuffix("M")) * 10**6 if cell.reader else None


def lack(cell: Cell) -> float:
    """What a cell lacks of the best that there can be."""
    parameters = parameters_of(cell)
    of_reader = 0.2 * (parameters / 10**8) ** -ALPHA if parameters else 0.0
    of_store = 0.5 * (cell.fraction * TOKENS / LEAST) ** -BETA if cell.fraction else 0.6
    return of_reader + of_store
