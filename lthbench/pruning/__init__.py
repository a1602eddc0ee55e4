"""What a method handles: networks, masks, scores."""
