"""Progress of a run folder: announcements of drivers, growing files of records, logs."""
