"""Rows to ranked rows: candidates, exact scores, words, fusion, and what a card measured of them.

Knows an index and the stored vectors of one store; knows no encoder and no passages' text.
"""
