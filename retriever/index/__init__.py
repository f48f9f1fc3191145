"""Vectors to rows: codes in memory, on disk, on GPUs. Knows neither text nor queries' words."""
