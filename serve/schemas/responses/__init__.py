"""OpenAI's responses: what a request holds, and what a reply says."""
