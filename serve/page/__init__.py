"""The page at `/`: its markup, style and script, and under which headers they are given.

The script asks the service as any client does, so nothing here knows a store or a reader.
"""
