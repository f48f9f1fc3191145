"""Vectors to rows: codes in memory, on disk, on GPUs, and their files in a store.

Knows manifests and shards' codes; knows neither encoders nor text.
"""
