"""What all else stands on.

===================================  =========================================================
`boxest.system.files`                files written whole or not at all
`boxest.system.logs`, ``signals``    what a job prints, and how it leaves when it is asked to
`boxest.system.versions`             of boxest, of Keras, and the commit
`boxest.system.runtime`              threads, memory and GPU, to be set before Keras is imported
`boxest.system.backend`              Keras, imported: its device and versions
`boxest.system.compilation_cache`    compiled programs on the disk
`boxest.system.registration`         Keras finds our layers and losses by name
`boxest.system.scalars`              checks of single numbers
===================================  =========================================================
"""
