"""Pages to records: HTML, Markdown and web archives. Knows charsets and HTTP; fetches nothing."""
