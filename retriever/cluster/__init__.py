"""A store searched by Ray actors, each with a group of its shards. Knows one store; starts no cluster."""
