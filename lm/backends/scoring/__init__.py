"""How likely a model finds texts: texts to rows of tokens, rows to batches, batches to likelihoods."""
