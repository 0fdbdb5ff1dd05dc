"""Speed and cost of the application, compared with the alternatives."""
