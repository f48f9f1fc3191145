"""Passages and a question to text. Knows no datastore and no index."""

import os

# Read when PyTorch and FAISS are loaded: threads that wait for others sleep soon, and leave them their core.
# The default, 300,000 turns of waiting, is what makes threads fight on a busy machine.
if not os.environ.get("OMP_WAIT_POLICY"):
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
