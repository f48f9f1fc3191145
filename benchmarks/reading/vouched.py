"""How many citations of answers go when a sentence's numbers and names must stand in the passage, and which?

    python benchmarks/reading/vouched.py prompts.jsonl.gz ANSWERS.jsonl[.gz] [--condition k=3]

The prompts are those of benchmarks/reading/prompts.py, the answers those of benchmarks/reading/answers.py: no
model is read. A citation is `right` if the passage that it names holds an accepted answer and the answer
does, too. Words in common alone would cite as before, whatever numbers and names say.
"""

import argparse
import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lm.citations import Citer
from lm.facts import Facts

_PASSAGES = re.compile(r"(?ms)^\[(\d+)\] .*?(?=^\[\d+\] |^Question: )")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as handle:
        yield from map(json.loads, handle)


def packed(prompt: dict[str, Any]) -> list[str]:
    """The passages of a prompt, by their numbers."""
    asked = prompt["conversation"][-1]["content"]
    found = {int(one[1]): one[0].strip() for one in _PASSAGES.finditer(asked)}
    return [found[number] for number in sorted(found)]


def cites(passages: Sequence[str], answer: str, facts: bool) -> int | None:
    """The passage that the first citing sentence of an answer names, from 1."""
    citer = Citer(passages)
    if facts:
        citer.cite(answer)
    else:
        with patch.object(Facts, "stand_in", lambda *_: True):
            citer.cite(answer)
    return next((claim.passage for claim in citer.claims if claim.passage), None)


def holds(text: str, answers: Sequence[str]) -> bool:
    """Whether a text holds one of the answers."""
    return any(one.lower() in text.lower() for one in answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--condition", default="k=3")
    args = parser.parse_args()
    prompts = {one["id"]: one for one in lines(args.prompts) if one["condition"] == args.condition}
    counts = {name: [0, 0] for name in ("kept", "moved", "removed")}
    answered = 0
    for one in lines(args.answers):
        if one["condition"] != args.condition or one["suppressed"] or one["id"] not in prompts:
            continue
        answered += 1
        passages = packed(prompts[one["id"]])
        before, now = (cites(passages, one["answer"], facts) for facts in (False, True))
        if before is None:
            continue
        right = holds(one["answer"], one["answers"]) and holds(passages[before - 1], one["answers"])
        counts["kept" if now == before else "removed" if now is None else "moved"][right] += 1
    print(f"{answered} answers")
    for name, (wrong, right) in counts.items():
        print(f"{name:<8} {wrong + right:>5}  right {right:>5}  wrong {wrong:>5}")


if __name__ == "__main__":
    main()
