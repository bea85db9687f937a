"""Models run by transformers on this machine: `model` in this process, everything with torch in a child."""
