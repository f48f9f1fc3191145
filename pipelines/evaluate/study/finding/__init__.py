"""What the arms of a study find, and how good it is. Knows no reader."""
