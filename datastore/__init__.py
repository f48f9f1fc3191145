"""The bytes on disk and their integrity. Knows no torch, FAISS, Ray or HTTP.

On top what readers open: stores, shards, views, takedowns. Beneath them, each in a folder: generations,
object storage, files.

Words, one for each idea. A file's checksum is its 128-bit xxh3 (`xxh3`, where it is written down). The hash
of a manifest is its file's checksum: it names a state of the store. The hash of an index says which files it
is of. A document's identity is its domain and id. Identities, and texts, are compared by hashes of 128 bits.
A passage's key is a hash of 64 bits: it decides which views the passage is in. Two more keys: an index's
says how it is made, an object's where it lies in its bucket.
"""
