"""What every room may know: errors for users, names, numbers, fields, threads, children. Knows no room."""
