"""Codes in pages of one list each, on GPUs: filled from anywhere, searched exactly, views masked in the scan.

Knows codes and rows. What is made of FAISS's index or of a store's files is in `loading.py` alone.
"""
