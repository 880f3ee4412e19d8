"""The commands: each file one command, `shell` what they share."""
