"""What every room may know: errors for users, names, numbers, amounts, cores, children. Knows no room."""
