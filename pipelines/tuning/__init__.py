"""A store and questions to examples, and those to a reader's adapter."""
