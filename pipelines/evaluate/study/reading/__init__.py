"""What readers of a study make of what is found: prompts, answers, figures. Knows no index."""
