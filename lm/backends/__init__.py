"""Models that continue and score text, each behind the protocol of `lm/reader.py`. Knows no passages."""
