"""Pages and files for the readers of a study.

=============================  ==========================================
`boxest.report.findings`       the page of findings, and its summary
`boxest.report.explorer`       a study to play with, in one file
`boxest.report.html`           tables and figures in a browser
`boxest.report.captions`       captions of figures and tables
`boxest.report.tensorboard`    the histories of its runs for TensorBoard
=============================  ==========================================
"""
