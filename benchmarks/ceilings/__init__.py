"""How many requests each design can have under way before it breaks."""
