"""One question to one cited answer: where retriever and reader meet. Knows no HTTP."""
