"""The jail of a stranger's method: `supervisor.py JOB` starts this folder as a program, which confines itself, then runs
the job's cells.

The files here import the standard library alone and are run as a folder: what confines a process is asked of the kernel
before anything else is imported, while there is one thread.
"""
