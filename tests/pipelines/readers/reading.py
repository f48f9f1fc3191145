"""Reading one file in tests, and writing one."""

import json

from pipelines.config import SourceConfig
from pipelines.readers.formats import Segment
from pipelines.readers.reader import RecordReader


def read(path, kind="jsonl", limit=1 << 20, begin=0, end=-1, first=0, **source):
    reader = RecordReader(SourceConfig(path=str(path), **source), path.name, limit)
    return list(reader.read(Segment(str(path), path.name, kind, begin, end, first)))


def lines(path, *records):
    path.write_bytes(
        b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)
    )
    return path
