"""How well a guard judges, and how sure one may be of it."""
