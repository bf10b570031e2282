"""What the commands share: names of Beam's runners, redirected output, files written whole."""
