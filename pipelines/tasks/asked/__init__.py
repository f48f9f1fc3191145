"""Tasks of lm-eval as questions that a reader answers alone and with passages."""
