"""The foundation: files, logs, versions, and how a backend is started.

===================================  =========================================================
`boxest.system.files`                atomic writing of files
`boxest.system.logs`, ``signals``    what a job prints, and how it ends on a signal
`boxest.system.versions`             of boxest, of Keras, and the commit
`boxest.system.runtime`              threads, memory and GPU, set before Keras is imported
`boxest.system.backend`              Keras after its import: device and versions
`boxest.system.garbage`              fewer collections, for a quick start and end
`boxest.system.compilation_cache`    compiled programs on the disk
`boxest.system.registration`         lets Keras find our layers and losses by name
`boxest.system.scalars`              checks of single numbers
===================================  =========================================================
"""
