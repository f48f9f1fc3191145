"""Stores in object storage: addresses, a bucket, the cache in front of it. Knows files, no manifest."""
