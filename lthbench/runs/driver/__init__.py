"""Who asks: the driver runs the methods of a suite, and a broker has every operation done once."""
