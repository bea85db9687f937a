"""One module a migration, named r and its four digits."""
