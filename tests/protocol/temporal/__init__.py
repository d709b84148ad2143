"""A model of Temporal's server and worker, on a clock of our own, that runs the real workflow classes.

The SDK's own workflow instances do the work: they are given activations and answer with commands, as in any worker.
What is modelled is what is around them: tasks, timers, retries, timeouts, signals, and who is never heard of again.
"""
