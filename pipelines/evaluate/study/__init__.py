"""A study: tasks in every cell of its axes, from STUDY.yaml to the tables. Knows no plot and no report."""
