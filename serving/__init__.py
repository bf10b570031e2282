"""For the user of TF Serving: a client, batch prediction, the server's configuration."""
