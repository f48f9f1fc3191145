"""A store's generations: manifests, the pointer to the current one, what nobody needs any more.

Knows which files there are and their checksums; opens none of passages or vectors.
"""
