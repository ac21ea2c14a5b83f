"""Draw Fig. 2: the layers of the network."""

from boxest import set_threads
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    set_threads(snakemake.threads)

    from boxest import figures, networks, shards
    from boxest.study import estimators
    from boxest.system import backend

    backend.start()
    params = snakemake.params
    images, _ = shards.load(snakemake.input.test, params.expected)
    shape = (*images.shape[1:], 1)[:3]
    files = dict(zip(params.files, snakemake.input.functions, strict=True))
    regressor = estimators.make(params.settings, 0, files)
    activation = regressor.output_activation
    model = networks.build(regressor.network, shape, output_activation=activation)
    rows = networks.layer_table(model)
    figures.save(figures.layer_table(rows, model.count_params()), snakemake.output[0])
    model.summary(line_length=80)
