"""Reports: a paper's claim beside the measurements here. One file for each paper, published numbers as data in
`published/`."""
