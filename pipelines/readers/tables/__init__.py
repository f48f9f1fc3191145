"""Rows to records: CSV, Parquet, data sets of the hub. Knows columns; knows no text inside them."""
