"""Stores over HTTP: vector stores, their files and filters, passages in their documents."""
