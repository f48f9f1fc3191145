"""Readers behind OpenAI-compatible servers: addresses, requests and retries, replies, scoring. No torch."""
