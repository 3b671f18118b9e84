"""The recipes of five write-ups, each in its own framework, recorded."""
