"""The program that runs on a rented machine while its files are copied to the vault or back. Standard library only.

    transfer start           takes a job as JSON on stdin and works it off, detached; one that runs is left alone.
                             Then prints how it is, a line of JSON a second, until it is over
    transfer stop JOB        ends it

It outlives the SSH connection that started it, so a cut connection or a crash of ours costs nothing: the next attempt
calls `start` again, and follows. It holds the vault's address with the lease's token, and the repository's password,
which stay in memory and in restic's environment: never on a disk, never on a command line. It is sent as one file by
activities/snapshots/transfer_program.py, runs on Python 3.8 and later, and imports nothing of the rest of the project.
"""
