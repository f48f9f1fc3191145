"""Query vectors and words to ranked rows: candidates, exact scores, BM25, fusion, and what a card measured.

Knows the index, the vectors and the words of one store; knows no encoder, and shows no passage.
"""
