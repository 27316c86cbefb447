"""What can be typed, and what it becomes: parameters of a command's function, options that all take, help."""
