"""Tasks of lm-eval, asked of a reader with passages of a store and without."""
