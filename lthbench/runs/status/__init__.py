"""How far it is: announcements of drivers, progress from growing files, logs."""
