"""The commands of `ralm`: flags become values and what comes back is shown. The work is done elsewhere."""
