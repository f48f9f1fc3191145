"""What people start: build, add, delete, compact, status, estimate. Lists all stages; prints nothing."""
