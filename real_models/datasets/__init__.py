"""One file a data set: its records as requests, every fault named by file, index and field."""
