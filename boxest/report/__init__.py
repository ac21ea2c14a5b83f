"""Pages and files for the readers of a study.

=============================  ==========================================
`boxest.report.findings`       the page of findings, and its summary
`boxest.report.explorer`       a study to play with, in one file
`boxest.report.pages`          tables and figures in a browser
`boxest.report.tensorboard`    the histories of its runs for TensorBoard
=============================  ==========================================
"""
