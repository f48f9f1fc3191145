"""What requests and replies look like, a module for each kind. Knows no route, and asks nobody."""
