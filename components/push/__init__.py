"""ServingGate and Pusher: what is pushed can be served, and appears whole or not at all."""
