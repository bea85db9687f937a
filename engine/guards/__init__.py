"""Guards: things that judge a case."""
