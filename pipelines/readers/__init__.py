"""Files to records, a module for each format. Knows documents; knows no build, index or encoder."""
