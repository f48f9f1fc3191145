"""Sources to filtered documents: files, splits, names, filters' models; the shape that all stages have.

Knows no format, which `readers` do, and no passage.
"""
