"""`ralm eval ...`: flags of each study to values. Knows no figure."""
