"""Stores over HTTP: as vector stores with files, and as pages of documents. Nothing here changes one."""
