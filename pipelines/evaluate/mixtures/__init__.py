"""Mixtures of a store's domains, and the store without each of them, as views of one search.

`running.py` searches and writes tables, which `evaluate/report/` reads. Knows no reader.
"""
