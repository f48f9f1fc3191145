"""Rules that keep a document, change it or remove it, to published thresholds, and the chain of them.

Knows texts and takedowns; knows no source, format or build.
"""
