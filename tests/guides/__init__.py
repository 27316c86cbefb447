"""The commands of the guides are run as they are printed."""
