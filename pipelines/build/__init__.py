"""From a corpus to a published datastore: read, filter, dedup, chunk, embed, index."""
