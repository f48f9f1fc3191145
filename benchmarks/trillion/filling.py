"""Parts filled with drawn vectors, a thread a device; candidates scored by drawing their vectors again."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from trillion.drawn import Drawn, K, Truth

from retriever.index.paged.codebook import Codebook
from retriever.index.paged.part import Part

T = TypeVar("T")


@dataclass
class Share:
    """One device's: so many batches from `first` on."""

    part: Part
    drawn: Drawn
    truth: Truth
    first: int
    batches: int

    def fill(self, until: float) -> int:
        """Draw, look for the truth, assign, encode and append; batches done before the clock says `until`."""
        done = 0
        while done < self.batches and time.perf_counter() < until:
            number = self.first + done
            vectors = self.drawn(number)
            self.truth.see(number * self.drawn.batch, vectors)
            self.part.add(vectors)
            done += 1
        wait(self.part.device)
        return done

    def scores(self, rows: np.ndarray, questions: torch.Tensor) -> np.ndarray:
        """Exact scores of candidates [n, k] of this device's, minus infinity for others."""
        size, out = self.drawn.batch, np.full(rows.size, -np.inf, np.float32)
        order = rows.ravel().argsort(kind="stable")
        ordered, whose = rows.ravel()[order], order // rows.shape[1]
        asked = questions.to(self.part.device).float()
        for number in range(self.first, self.first + self.batches):
            start, end = np.searchsorted(ordered, [number * size, (number + 1) * size])
            if start < end:
                here = [torch.from_numpy(a[start:end]).to(asked.device) for a in (ordered, whose)]
                vectors = self.drawn(number)[here[0] - number * size].float()
                out[order[start:end]] = (vectors * asked[here[1]]).sum(1).cpu().numpy()
        return out.reshape(rows.shape)


def shares(codebook: Codebook, drawn: Sequence[Drawn], questions: torch.Tensor, batches: int) -> list[Share]:
    """Equal shares of so many batches, one for each drawer's device."""
    each, found = batches // len(drawn), []
    for n, one in enumerate(drawn):
        part = Part(codebook.to(one.device), each * one.batch, n * each * one.batch)
        found.append(Share(part, one, Truth(questions.to(one.device)), n * each, each))
    return found


def everywhere(given: Sequence[Share], work: Callable[[Share], T]) -> list[T]:
    """Work of each share, on its device, in a thread of its own."""

    def one(share: Share) -> T:
        with share.part.here():
            return work(share)

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, given))


def exact(given: Sequence[Share], rows: np.ndarray, questions: torch.Tensor) -> np.ndarray:
    """Exact scores of candidates [settings, n, k], from their vectors drawn again."""
    settings, count, k = rows.shape
    asked = questions.repeat(settings, 1)
    parts = everywhere(given, lambda share: share.scores(rows.reshape(settings * count, k), asked))
    return np.max(parts, axis=0).reshape(rows.shape)


def best_of_all(given: Sequence[Share]) -> np.ndarray:
    """The exact best rows of each question [n, 10]."""
    scores = torch.cat([share.truth.scores.cpu() for share in given], 1)
    rows = torch.cat([share.truth.rows.cpu() for share in given], 1)
    return rows.gather(1, scores.topk(K, 1).indices).numpy()


def wait(device: torch.device) -> None:
    """Let a device finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
