"""Images and boxes: draw, read, store and augment them.

===============================================  =============================================
`boxest.data.synthetic`, ``scene``               the paper's images, and harder ones
`boxest.data.drawing`, ``philox``                draw them, from random numbers by index
`boxest.data.shards`, ``metadata``, ``hdf5``     files of images and boxes
`boxest.data.splits`                             training, validation and test set
`boxest.data.inputs`, ``pixels``                 what `fit` accepts as images, and as white
`boxest.data.augmentation`                       random changes of images in each epoch
`boxest.data.image_files`                        JPEG, PNG and others
`boxest.data.array_files`                        arrays in ``.npz`` and HDF5 files
`boxest.data.annotations`                        formats of boxes
`boxest.data.photographs`                        convert photographs; find boxes in them
`boxest.data.sources`                            the sources of the images of a study
===============================================  =============================================
"""
