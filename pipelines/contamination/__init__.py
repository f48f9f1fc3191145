"""Which passages hold evaluation text. Knows questions and words' hashes; knows no encoder."""
