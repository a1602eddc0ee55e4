"""Image folders: which files they hold, how each is decoded, what a survey of them finds."""
