"""The two faces of Wizard101: the terminal interface and the command line."""

__version__ = "0.1.0"
