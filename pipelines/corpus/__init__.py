"""Sources to filtered documents: files, splits, names, the models of filters. Knows no passage."""
