"""Dumps of MediaWiki to articles in plain text. Expands no template."""
