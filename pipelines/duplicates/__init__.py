"""Which documents, lines and passages occurred before, alike or nearly. Knows hashes; cuts no passage."""
