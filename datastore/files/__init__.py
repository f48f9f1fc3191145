"""Where the files of a store lie, and how they come to lie there whole. Knows nothing of what is in them."""
