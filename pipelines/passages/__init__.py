"""Documents to passages and numbered shards. Knows tokens; knows no vector."""
