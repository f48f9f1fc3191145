"""Text to ranked passages. Knows the datastore; knows no language model and no HTTP."""
