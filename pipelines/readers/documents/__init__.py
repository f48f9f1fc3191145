"""PDF, Word files and e-books, each taken apart in a process of its own. Knows no other format."""
