"""How a file's name ends, as far as it tells how its bytes are packed."""

from pathlib import PurePath

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}


def compression(path: str) -> str | None:
    """The compression a file name tells of: "gzip", "zstd", "bzip2", "xz" or None."""
    suffixes = suffixes_of(path)
    return COMPRESSIONS.get(suffixes[-1]) if suffixes else None


def suffixes_of(path: str) -> list[str]:
    """The endings of a path's last part, in lower case: [".jsonl", ".gz"]."""
    # Here, for the command line names formats before it needs files.
    from pipelines.readers.bytes.files import last_part

    return [suffix.lower() for suffix in PurePath(last_part(path)).suffixes]
