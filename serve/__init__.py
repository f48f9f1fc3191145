"""The REST API: search, and chat completions that read what was found."""
