"""What the dialects that generate text share: turns and sampling of a request, choices of a reply."""
