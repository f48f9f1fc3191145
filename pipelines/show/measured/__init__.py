"""What studies have measured, as people read it."""
