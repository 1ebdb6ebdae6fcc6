"""What a host can read, complete and watch besides the tools. Every read runs the command of a tool, with its rules."""
