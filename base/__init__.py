"""What every room may know: errors, names, numbers, amounts, fields, threads, children. Knows no room."""
