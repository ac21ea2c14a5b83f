"""Images and boxes: made, read, kept in shards, changed at random.

===============================================  =============================================
`boxest.data.synthetic`, ``scene``               the paper's images, and what makes them harder
`boxest.data.drawing`, ``philox``                how they are drawn, from random numbers by index
`boxest.data.shards`, ``metadata``, ``hdf5``     files of images and boxes
`boxest.data.splits`                             training, validation and test set
`boxest.data.inputs`, ``pixels``                 what `fit` takes as images, and as white
`boxest.data.augmentation`                       images changed at random in each epoch
`boxest.data.image_files`                        JPEG, PNG and others
`boxest.data.array_files`                        arrays in ``.npz`` and HDF5 files
`boxest.data.annotations`                        formats of boxes
`boxest.data.photographs`                        photographs into shards; boxes in photographs
`boxest.data.sources`                            where the images of a study come from
===============================================  =============================================
"""
