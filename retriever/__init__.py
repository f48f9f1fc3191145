"""Text to ranked passages. Knows the datastore; knows no language model and no HTTP."""

from base.threads import sleep_soon

sleep_soon()
