"""What a study's figures say: laws, fronts, mixtures, energy. Arrays in, records out: no files, no plots."""
