"""What a request passes before a route sees it: its id and log, keys and rates, its body, its time.

Middleware of plain ASGI. Knows no route and no model.
"""
