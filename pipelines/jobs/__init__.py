"""What people start: build, add, delete, compact, status. Knows every stage; prints nothing."""
