"""Files to records: a folder for each kind of format, and beside them what all share.

`formats` lists what is read; `segment` is the part of a file that a task reads. Knows documents; knows no
configuration, build, index or encoder.
"""
