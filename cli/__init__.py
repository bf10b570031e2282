"""What the commands share: streams, redirection, ends, whole files, sizes, Beam's runners."""
