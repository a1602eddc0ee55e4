"""Metering: counts of the examples that networks see, and bounds on the data that enters and leaves a worker."""
