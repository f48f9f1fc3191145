"""What work takes: joules, operations, and the share of a device's peak. Knows no stage."""
