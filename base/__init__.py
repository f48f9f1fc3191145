"""What every room may know: the error for users, names, numbers, cores. Knows no room and no file."""
