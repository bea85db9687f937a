"""Data to train on: reading it, and whether it holds what a guard is to be tested on."""
