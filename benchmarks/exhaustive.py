"""The peer of benchmarks/retrieval.py: an exhaustive float32 search with sentence-transformers.

Stands alone (torch, sentence-transformers, numpy), so that the embedding can run on a machine with a
GPU where nothing else is installed:

    python benchmarks/exhaustive.py PASSAGES.jsonl.gz QUESTIONS.jsonl MODEL OUT.npy [--top 100]

PASSAGES holds {"text": ...} in row order, QUESTIONS {"question": ...}; OUT gets int64
[questions, top], the rows with the largest inner products, best first.
"""

import argparse
import gzip
import json
import time

import numpy as np
import torch
from sentence_transformers import SentenceTransformer


def search(passages: list[str], questions: list[str], model: str, top: int) -> np.ndarray:
    """Rows of the `top` passages of each question by float32 inner product: int64 [questions, top]."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    encoder = SentenceTransformer(model, device=device, model_kwargs={"dtype": torch.float32})
    started = time.perf_counter()
    options = {"batch_size": 256 if device == "cuda" else 32, "convert_to_tensor": True}
    documents = encoder.encode_document(passages, **options)
    seconds = time.perf_counter() - started
    print(f"{len(passages):,} passages in float32 on {device}: {len(passages) / seconds:,.0f} a second")
    queries = encoder.encode_query(questions, **options)
    scores = torch.cat([q @ documents.T for q in queries.split(256)])
    return scores.topk(top, dim=1).indices.cpu().numpy().astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("passages", "questions", "model", "out"):
        parser.add_argument(name)
    parser.add_argument("--top", type=int, default=100)
    args = parser.parse_args()
    with gzip.open(args.passages, "rt", encoding="utf-8") as handle:
        passages = [json.loads(line)["text"] for line in handle]
    with open(args.questions, encoding="utf-8") as handle:
        questions = [json.loads(line)["question"] for line in handle]
    np.save(args.out, search(passages, questions, args.model, args.top))


if __name__ == "__main__":
    main()
