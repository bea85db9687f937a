"""Editing policies as one edits code under test: files and drafts, trials on cases, flips, bisection."""
