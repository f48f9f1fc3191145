"""Texts written by a model in this process: rows in step, token by token, and what is kept of prompts."""
