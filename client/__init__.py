"""A service asked from Python, over HTTP. Knows no store, no model and no index: neither is imported."""
