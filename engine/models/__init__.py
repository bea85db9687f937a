"""Models: things that write text."""
