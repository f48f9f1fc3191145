"""The bytes on disk and their integrity. Knows no torch, FAISS, Ray or HTTP.

On top what readers open: shards, stores, views, takedowns. Beneath them, each in a folder: files,
object storage, generations.
"""
