"""Everything that works without a terminal."""
