"""Which permissions API calls need of the calling role, and how they are refused."""
