"""Bytes of files wherever they lie: ranges, compression, codings, lines. Knows no record."""
