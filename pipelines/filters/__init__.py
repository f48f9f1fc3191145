"""Rules that keep a document, change it or remove it, each to its published thresholds."""
