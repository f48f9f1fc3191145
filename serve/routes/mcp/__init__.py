"""The Model Context Protocol: a datastore as a tool of assistants, over HTTP and over stdio."""
