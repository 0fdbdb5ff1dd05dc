"""AWS's API calls as HTTP requests: what one calls, what it has to have, how it is answered."""
