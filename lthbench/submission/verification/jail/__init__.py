"""What a stranger's method runs in: `python lthbench/submission/jail JOB` confines itself, then runs the job's cells.

The files here import the standard library alone and are run as a folder: what confines a process is asked of the kernel
before anything else is imported, while there is one thread.
"""
