"""Policies: the texts and rules that cases are judged by."""
