"""Passages and a question to text. Knows no datastore and no index."""
