"""What a larger datastore buys: questions, metrics, scaling curves, reports."""
