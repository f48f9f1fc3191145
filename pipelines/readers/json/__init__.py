"""JSON Lines, arrays and objects to records. Knows damage to a line or an element; knows no other format."""
