"""Questions that a reader answers alone and with passages, on the same prompts but for these."""
