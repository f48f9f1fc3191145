"""The service as a Ray Serve application: its parts are deployments of their own, which scale apart.

The application is the one of `serve/app.py`; what it holds asks deployments. Only this room knows Ray Serve.
"""
