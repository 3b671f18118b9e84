"""Who is compared: one module each, with `enter(task)`, which prepares a task and gives its run.

A module imports its library; it is loaded in the environment that has it, in a process of its own.
"""
