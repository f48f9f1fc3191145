"""What carries work out: stages, tasks, executors, markers, and what they take. Knows no corpus."""
