"""The bytes on disk and their integrity. Knows no torch, FAISS, Ray or HTTP."""
