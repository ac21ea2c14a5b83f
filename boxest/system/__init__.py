"""What all else stands on: files written whole, signals, logs, versions, the backend's start."""
