"""Fig. 2: the layers of the network."""

from boxest import logs, set_threads

with logs.to_file(snakemake.log[0]):
    set_threads(snakemake.threads)

    from boxest import figures, networks, runtime

    runtime.start_backend()
    size, network = snakemake.params.image_size, snakemake.params.network
    model = networks.build(
        network["name"], (size, size, 1), output_activation=network["output_activation"]
    )
    rows = networks.layer_table(model)
    figures.save(figures.layer_table(rows, model.count_params()), snakemake.output[0])
    model.summary(line_length=80)
