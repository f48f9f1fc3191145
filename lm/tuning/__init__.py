"""Teaching a reader: examples to packed rows to an adapter. Knows no datastore."""
