"""Images and boxes: made, read, kept in shards, changed at random."""
