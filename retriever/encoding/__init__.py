"""Text to vectors: checkpoints, tokenizers, batches.

Knows what a manifest says of an encoder; knows no store and no index.
"""
