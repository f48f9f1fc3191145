"""The routes: each validates, asks, and shapes the reply. A dialect knows nothing of retrieval."""
