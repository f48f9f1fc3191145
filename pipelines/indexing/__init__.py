"""Passages to vectors, codes and BM25, and the index's card. Knows encoders; reads no source."""
