"""The runner of a job's script, in POSIX sh."""
