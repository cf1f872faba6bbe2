"""The machine and this process: memory, threads, devices, files and process-wide settings."""
