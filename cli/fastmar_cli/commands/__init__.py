"""The subcommands of `fastmar`, one file each."""
