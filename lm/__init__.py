"""Passages and a question to text. Knows no datastore and no index."""

from base.threads import sleep_soon

sleep_soon()
