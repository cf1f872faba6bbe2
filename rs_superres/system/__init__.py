"""The machine and this process: memory, threads, devices, files and process-wide settings.

``memory`` needs a POSIX system: it imports :mod:`resource`.
"""
