"""What API calls need of the policies of the role that makes them, and how they are refused."""
