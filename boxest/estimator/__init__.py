"""The estimators: training, saving, export, and searches.

============================================  ================================================
`boxest.estimator.box_regressor`              `BoxRegressor`: its parameters, and its score
`boxest.estimator.image_regressor`            `ImageRegressor`: the same for any targets
`boxest.estimator.base`                       from `fit` to the training loop; `predict`
`boxest.estimator.examples`                   images, targets and weights: checked, read, divided
`boxest.estimator.building`                   network, programs and schedule of a training
`boxest.estimator.outcome`                    the attributes that describe a training
`boxest.estimator.optimizers`                 optimizers, and Keras schedules of their rates
`boxest.estimator.rates`                      `find_learning_rate`
`boxest.estimator.many`                       `fit_many`
`boxest.estimator.saving`, ``file_format``    one file per estimator, safe to open
`boxest.estimator.pickling`                   pickles, copies and clones
`boxest.estimator.export`                     ONNX and SavedModel
============================================  ================================================
"""
