"""Text to vectors: checkpoints, tokenizers, batches. Knows no index and no store."""
