"""A search of few queries as a CUDA graph (NVIDIA's CUDA guide, "CUDA Graphs"): started with one call.

Of a search of one query most of the time goes into starting its twenty kernels one by one.

Decisions: docs/decisions/gpu.md.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from retriever.index.code_index import Assigned, ScoredRows
from retriever.index.paged.part import Part

# Queries up to which searches are captured, and searches that are kept.
MOST_QUERIES = 32
_KEPT = 16
# Runs before a capture: kernels are compiled and memory is taken.
_WARM = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """What a captured search is of: so many queries, lists and hits of each."""

    queries: int
    probes: int
    k: int


class CapturedSearch:
    """A part's search of one shape, with its copies from and to the host."""

    def __init__(self, part: Part, shape: Shape) -> None:
        self._part = part
        room = part.most_room(shape.probes)
        device = part.device
        dimension = part.codebook.centroids.shape[1]
        self._vectors = torch.zeros((shape.queries, dimension), pin_memory=True)
        self._lists = torch.zeros((shape.queries, shape.probes), dtype=torch.int64, pin_memory=True)
        self._distances = torch.zeros((shape.queries, shape.probes), pin_memory=True)
        self._scores = torch.empty((shape.queries, shape.k), pin_memory=True)
        self._rows = torch.empty((shape.queries, shape.k), dtype=torch.int64, pin_memory=True)
        given = self._vectors, self._lists, self._distances

        def work() -> None:
            asked = part.asked(*(tensor.to(device, non_blocking=True) for tensor in given))
            scores, rows = part.search(asked, shape.k, room)
            self._scores.copy_(scores, non_blocking=True)
            self._rows.copy_(rows, non_blocking=True)

        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream(device)
            self._stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM):
                    work()
            self._stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may search meanwhile.
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                work()

    def start(self, queries: Assigned) -> None:
        """Begin a search of no more queries than the shape has."""
        held = self._vectors, self._lists, self._distances
        given = queries.vectors, queries.lists, queries.distances
        for tensor, array in zip(held, given, strict=True):
            tensor[: len(queries)] = torch.from_numpy(np.ascontiguousarray(array))
        with torch.cuda.device(self._part.device), torch.cuda.stream(self._stream):
            self._graph.replay()

    def wait(self, count: int) -> ScoredRows:
        """Scores and rows of the first so many queries, good until the next start."""
        self._stream.synchronize()
        return self._scores[:count].numpy(), self._rows[:count].numpy()


class CapturedSearches:
    """The captured searches of an index's parts, made when they are first needed. Safe between threads."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._made: OrderedDict[Shape, list[CapturedSearch]] = OrderedDict()
        # A captured search has one place for its queries; and the devices work on one after another anyway.
        self._asking = Lock()

    def search(self, queries: Assigned, k: int) -> list[ScoredRows]:
        """What each part finds for queries that are at most MOST_QUERIES."""
        assert queries.lists is not None
        # A power of two of them, so that there are few shapes; the others' results are left out.
        count = 1 << (len(queries) - 1).bit_length()
        with self._asking:
            captured = self._of(Shape(count, queries.lists.shape[1], k))
            for one in captured:
                one.start(queries)
            found = [one.wait(len(queries)) for one in captured]
            return [(scores.copy(), rows.copy()) for scores, rows in found]

    def _of(self, shape: Shape) -> list[CapturedSearch]:
        if shape not in self._made:
            self._made[shape] = [CapturedSearch(part, shape) for part in self._parts]
        self._made.move_to_end(shape)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return self._made[shape]
