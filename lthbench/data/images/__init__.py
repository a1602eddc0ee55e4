"""Image folders: their files, how each is decoded, and what a survey of them finds."""
