"""What a study is told by: the page of findings, the explorer, pages for a browser."""
