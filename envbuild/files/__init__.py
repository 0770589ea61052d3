"""Files on disk: atomic writes, locks, temporary folders, full disks, sizes."""
