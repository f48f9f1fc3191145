"""Perplexity of running text, with passages of a store and without. Knows no questions."""
