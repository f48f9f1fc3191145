"""Sources to filtered documents: files, splits, names, filters' models; the shape of stages. No passage."""
