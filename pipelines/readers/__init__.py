"""From the files of a corpus to documents: one module for each format."""
