"""What people run: the command line, the build, the evaluation."""
