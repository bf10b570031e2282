"""What the commands share: Beam's runners, streams, redirection, whole files, sizes on the disk."""
