"""Where requests wait for what they share. Knows no HTTP."""
